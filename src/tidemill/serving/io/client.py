"""Ask a server for predictions from Python: `tm.Client`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Self

import msgspec

from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.serving.client_exchange import (
    ClientRequest,
    Exchange,
    Pause,
    Predictions,
    Received,
    Send,
    exchange,
)


class Client:
    """Asks the server at `url` for predictions, from blocking and from asynchronous code.

    `token` is sent with each request. A request may take `timeout` seconds, with at most `retries` further
    attempts when no server answers or one is busy. Use it as a context manager, or `close` it; one client may
    be used by several threads. UsageError without the extra `client`.
    """

    def __init__(
        self, url: str, *, token: str = "", timeout: float = 10.0, retries: int = 3
    ) -> None:
        try:
            import httpx2
        except ModuleNotFoundError as error:
            raise UsageError(f"tm.Client needs httpx2: {install_command('httpx2')}") from error
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"Client({url!r}): a URL begins with http:// or https://")
        self.url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._retries = retries
        self._http = httpx2
        self._blocking: Any = None
        self._async: Any = None

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def predict(self, endpoint: str, rows: Any, *, partial: bool = False) -> Predictions:
        """Return the predictions of an endpoint for rows: mappings, one mapping, or a Polars frame.

        With `partial` rows that break the contract are left out; else they raise RowsRefused. Raises a
        ServingError for all that isn't answered with predictions.
        """
        return self._drive(self._exchange(endpoint, rows, partial=partial))

    async def predict_async(
        self, endpoint: str, rows: Any, *, partial: bool = False
    ) -> Predictions:
        """Like `predict`, for asynchronous code: `await client.predict_async(...)`."""
        return await self._drive_async(self._exchange(endpoint, rows, partial=partial))

    def close(self) -> None:
        """Close the connections of blocking calls."""
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = None

    async def close_async(self) -> None:
        """Close all connections."""
        self.close()
        if self._async is not None:
            await self._async.aclose()
            self._async = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close_async()

    def _exchange(self, endpoint: str, rows: Any, *, partial: bool) -> Exchange:
        request = ClientRequest(
            endpoint=endpoint, body=encode_rows(rows), partial=partial, token=self._token
        )
        return exchange(
            request, timeout_s=self._timeout, retries=self._retries, now=time.monotonic()
        )

    def _drive(self, steps: Exchange) -> Predictions:
        if self._blocking is None:
            self._blocking = self._http.Client(base_url=self.url)
        received: Received | None = None
        while True:
            try:
                step = steps.send(received)
            except StopIteration as done:
                found: Predictions = done.value
                return found
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                received = None
                continue
            try:
                received = _received(self._blocking.send(self._request(self._blocking, step)))
            except self._http.TransportError as error:
                received = self._unreachable(error)

    async def _drive_async(self, steps: Exchange) -> Predictions:
        if self._async is None:
            self._async = self._http.AsyncClient(base_url=self.url)
        received: Received | None = None
        while True:
            try:
                step = steps.send(received)
            except StopIteration as done:
                found: Predictions = done.value
                return found
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                received = None
                continue
            try:
                received = _received(await self._async.send(self._request(self._async, step)))
            except self._http.TransportError as error:
                received = self._unreachable(error)

    def _request(self, client: Any, step: Send) -> Any:
        return client.build_request(
            "POST", step.path, content=step.body, headers=step.headers, timeout=step.timeout_s
        )

    def _unreachable(self, error: Exception) -> Received:
        timed_out = isinstance(error, self._http.TimeoutException)
        why = f"no answer within {self._timeout:g} s" if timed_out else str(error)
        return Received(status=0, fault=f"{self.url}: {why}", now=time.monotonic())


def _received(reply: Any) -> Received:
    return Received(
        status=reply.status_code, body=reply.content, headers=reply.headers, now=time.monotonic()
    )


def encode_rows(rows: Any) -> bytes:
    """Encode rows as a request has them; UsageError for what isn't rows.

    Dates and times become ISO text, decimals text, and NaN null.
    """
    if hasattr(rows, "to_dicts"):
        rows = rows.to_dicts()
    if isinstance(rows, Mapping):
        rows = [rows]
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes):
        raise UsageError(f"rows are mappings, or a Polars frame, not {type(rows).__name__}")
    listed = list(rows)
    odd = next((row for row in listed if not isinstance(row, Mapping)), None)
    if odd is not None:
        raise UsageError(f"each row is a mapping of columns to values, not {odd!r}")
    try:
        return msgspec.json.encode([dict(row) for row in listed])
    except (TypeError, msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise UsageError(f"a value of the rows can't be sent: {error}") from error
