"""A thread that calls one model whose calls are too long for the event loop."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from tidemill.serving.call_cost import MAX_BATCH_ROWS
from tidemill.serving.io.batches import (
    Predicted,
    QueuedRequest,
    RequestResult,
    cut_batch,
    predict_requests,
    record_nothing,
)
from tidemill.serving.io.runner import Runner, closed_error


class ModelThread:
    """Predicts all requests that wait in one call, one call after the other, in a thread.

    It doesn't wait for more requests: what comes during a call is the next batch.
    """

    __slots__ = ("_closed", "_done", "_loop", "_queue", "_record", "_thread", "runner", "waiting")

    def __init__(
        self, runner: Runner, record_batch: Callable[[int], object] = record_nothing
    ) -> None:
        self.runner = runner
        self._record = record_batch
        self.waiting = 0
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        # None is after the last request.
        self._queue: SimpleQueue[QueuedRequest | None] = SimpleQueue()
        # It doesn't keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="tidemill model", daemon=True)
        self._thread.start()

    def predict_row(self, values: list[float], deadline: float = math.inf) -> Awaitable[Predicted]:
        """Queue one row."""
        return self._append(values, 1, deadline)

    def predict(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Queue rows."""
        return self._append(rows, len(rows), deadline)

    def contributions(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Queue rows to explain, in a call of their own."""
        return self._append(rows, len(rows), deadline, explained=True)

    async def close(self) -> None:
        """Close the model after the requests that wait, in its thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.shield(self._done)

    def _append(
        self, rows: Any, count: int, deadline: float, *, explained: bool = False
    ) -> asyncio.Future[Predicted]:
        if self._closed:
            raise closed_error()
        future: asyncio.Future[Predicted] = self._loop.create_future()
        self.waiting += 1
        self._queue.put(QueuedRequest(rows, count, deadline, future, explained))
        return future

    def _run(self) -> None:
        requests: list[QueuedRequest] = []
        ended = False
        while requests or not ended:
            ended = self._take(requests, ended)
            taken = cut_batch(requests, MAX_BATCH_ROWS)
            batch, requests = requests[:taken], requests[taken:]
            results = predict_requests(self.runner, batch, row_calls=False)
            self._call_in_loop(self._deliver, len(batch), results)
        try:
            self.runner.close()
        except Exception as error:  # noqa: BLE001 - who closes the model gets it
            self._call_in_loop(self._done.set_exception, error)
        else:
            self._call_in_loop(self._done.set_result, None)

    def _call_in_loop(self, callback: Callable[..., object], *arguments: object) -> None:
        # The loop is closed when a server ends without waiting for its models.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _take(self, requests: list[QueuedRequest], ended: bool) -> bool:
        """Append the requests that wait, or else the next one; return whether there are no more."""
        with suppress(Empty):
            while not ended:
                request = self._queue.get(block=not requests)
                if request is None:
                    return True
                requests.append(request)
        return ended

    def _deliver(self, taken: int, results: Sequence[RequestResult]) -> None:
        self.waiting -= taken
        if taken:
            self._record(taken)
        for result in results:
            result.deliver()
