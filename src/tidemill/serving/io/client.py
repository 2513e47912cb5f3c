"""Ask a server for predictions from Python: `tm.Client`."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from typing import Any, Self
from weakref import WeakKeyDictionary

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
    unreachable,
)
from tidemill.serving.client_rows import encode_rows


class Client:
    """Asks the server at `url` for predictions, from blocking and from asynchronous code.

    `token` is sent with each request. A request may take `timeout` seconds, with at most `retries` further
    attempts when no server answers or one is busy. Use it as a context manager, or `close` it; one client may
    be used by several threads and event loops, and by processes that are forked. UsageError without the extra
    `client`, and for arguments that can't be used.
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
        try:
            httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise UsageError(f"Client({url!r}): this is not a URL: {error}") from error
        if not 0 < timeout < math.inf:
            raise UsageError(f"Client(timeout={timeout!r}): it is a number of seconds above 0")
        if retries < 0:
            raise UsageError(f"Client(retries={retries!r}): it is a number of attempts from 0")
        self.url = url.rstrip("/")
        self._token = _plain_token(token)
        self._timeout = timeout
        self._retries = retries
        self._http = httpx2
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._blocking: Any = None
        # Connections belong to the event loop that opened them.
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def predict(
        self, endpoint: str, rows: Any, *, partial: bool = False, explain: bool = False
    ) -> Predictions:
        """Return the predictions of an endpoint for rows: mappings, one mapping, or a Polars or pandas frame.

        With `partial` rows that break the contract are left out, unless all do; else they raise RowsRefused.
        With `explain` each row has the `contributions` of its inputs. Raises a ServingError for all that
        isn't answered with predictions.
        """
        steps = self._exchange(endpoint, rows, partial=partial, explain=explain)
        step = next(steps)
        while not isinstance(step, Predictions):
            step = steps.send(self._perform(step))
        return step

    async def predict_async(
        self, endpoint: str, rows: Any, *, partial: bool = False, explain: bool = False
    ) -> Predictions:
        """Like `predict`, for asynchronous code: `await client.predict_async(...)`."""
        steps = self._exchange(endpoint, rows, partial=partial, explain=explain)
        step = next(steps)
        while not isinstance(step, Predictions):
            step = steps.send(await self._perform_async(step))
        return step

    def close(self) -> None:
        """Close the connections of blocking calls."""
        if self._blocking is not None:
            self._blocking.close()
            self._blocking = None

    async def close_async(self) -> None:
        """Close the connections of blocking calls, and those of this event loop."""
        self.close()
        client = self._async.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close_async()

    def _exchange(self, endpoint: str, rows: Any, *, partial: bool, explain: bool) -> Exchange:
        if self._process != os.getpid():
            # Two processes that use one connection get each other's answers.
            self._open()
        request = ClientRequest(
            endpoint=endpoint,
            body=encode_rows(rows),
            partial=partial,
            explain=explain,
            token=self._token,
        )
        return exchange(
            request, timeout_s=self._timeout, retries=self._retries, now=time.monotonic()
        )

    def _perform(self, step: Send | Pause) -> Received | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        with self._lock:
            if self._blocking is None:
                self._blocking = self._http.Client(base_url=self.url)
            client = self._blocking
        try:
            return self._receive(client, step)
        except self._http.RequestError as error:
            return self._unreachable(error)

    async def _perform_async(self, step: Send | Pause) -> Received | None:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        loop = asyncio.get_running_loop()
        client = self._async.get(loop)
        if client is None:
            client = self._async[loop] = self._http.AsyncClient(base_url=self.url)
        try:
            async with asyncio.timeout(step.timeout_s):
                reply = await client.send(self._request(client, step))
            return _received(reply, reply.content)
        except (self._http.RequestError, TimeoutError) as error:
            return self._unreachable(error)

    def _request(self, client: Any, step: Send) -> Any:
        return client.build_request(
            "POST", step.path, content=step.body, headers=step.headers, timeout=step.timeout_s
        )

    def _receive(self, client: Any, step: Send) -> Received:
        """Send a request and read the reply; the timeout of a socket alone starts again with each byte."""
        end = time.monotonic() + step.timeout_s
        reply = client.send(self._request(client, step), stream=True)
        try:
            parts = []
            for part in reply.iter_bytes():
                parts.append(part)
                if time.monotonic() > end:
                    raise self._http.ReadTimeout("the reply takes too long")
        finally:
            reply.close()
        return _received(reply, b"".join(parts))

    def _unreachable(self, error: Exception) -> Received:
        timed_out = isinstance(error, self._http.TimeoutException | TimeoutError)
        why = f"no answer within {self._timeout:g} s" if timed_out else str(error)
        return Received(status=0, fault=unreachable(self.url, why), now=time.monotonic())


def _received(reply: Any, body: bytes) -> Received:
    return Received(
        status=reply.status_code, body=body, headers=reply.headers, now=time.monotonic()
    )


def _plain_token(token: str) -> str:
    """A token without the end of the line of the file that it was read from; it is in no message."""
    found = token.strip()
    if not found.isascii() or not found.isprintable() or " " in found:
        raise UsageError("Client(token=...): it isn't one token, as `tm_<id>_<secret>`")
    return found
