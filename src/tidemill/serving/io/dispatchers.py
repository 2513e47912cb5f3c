"""Call a model where its calls belong: on the event loop, alone or in batches, or in a thread of its own."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import numpy as np

from tidemill.serving.call_cost import gains_from_batches, rows_at_once, runs_inline
from tidemill.serving.io.batches import (
    Predicted,
    QueuedRequest,
    cut_batch,
    predict_requests,
    record_nothing,
)
from tidemill.serving.io.model_thread import ModelThread
from tidemill.serving.io.runner import DeadlinePassed, Runner, closed_error

# How often a model that is closed looks whether its last call has ended.
_IDLE_S = 0.005


class Dispatcher(Protocol):
    """Calls one model, for the tasks of one event loop.

    Predictions come with the CPU seconds that they took; 0 if that was in the caller's own turn. A request
    whose `deadline` passes while it waits, in seconds of the monotonic clock, is dropped with
    DeadlinePassed.
    """

    @property
    def waiting(self) -> int:
        """The number of requests that wait for the model, or are in it."""

    def predict_row(self, values: list[float], deadline: float = math.inf) -> Awaitable[Predicted]:
        """Predict one row: a number, or a probability per class."""

    def predict(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Predict the rows of an array or a frame, as the runner's `feed` says."""

    def contributions(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Compute what each input adds to the predictions of rows, as the runner returns it."""

    async def close(self) -> None:
        """Close the model after the requests that wait; later ones raise ConflictError.

        Whoever takes the dispatcher that is live and calls it without awaiting anything between is in time.
        """


def open_dispatcher(
    runner: Runner, record_batch: Callable[[int], object] = record_nothing
) -> Dispatcher:
    """Choose by the cost of its calls where a model is called; only in a running event loop.

    `record_batch` gets the number of requests of each batch.
    """
    if not runs_inline(runner.cost):
        return ModelThread(runner, record_batch)
    if gains_from_batches(runner.cost):
        return LoopBatches(runner, record_batch)
    return InlineCalls(runner)


class InlineCalls:
    """Calls a model at once, in the turn of the caller.

    More rows than `limit` would hold up the event loop. They are predicted in another thread, or in several
    turns if the model isn't thread-safe.
    """

    __slots__ = ("limit", "runner", "waiting")

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.waiting = 0
        self.limit = rows_at_once(runner.cost)

    async def predict_row(self, values: list[float], deadline: float = math.inf) -> Predicted:
        """Predict one row; it doesn't wait."""
        return self.runner.predict_row(values), 0.0

    async def predict(self, rows: Any, deadline: float = math.inf) -> Predicted:
        """Predict rows."""
        if len(rows) <= self.limit:
            return self.runner.predict(rows), 0.0
        if self.runner.thread_safe:
            return await _call_in_thread(self, self.runner.predict, rows, deadline)
        self.waiting += 1
        try:
            return await _predict_in_parts(self._part, rows, self.limit, deadline)
        finally:
            self.waiting -= 1

    async def contributions(self, rows: Any, deadline: float = math.inf) -> Predicted:
        """Explain rows in another thread, because that takes longer than to predict them."""
        return await _call_in_thread(self, self.runner.contributions, rows, deadline)

    async def close(self) -> None:
        """Close the model after the calls that don't end in their turn."""
        await _wait_until_idle(self)
        self.runner.close()

    async def _part(self, rows: Any, deadline: float) -> Predicted:
        found = _timed(self.runner.predict, rows, deadline)
        await asyncio.sleep(0)
        return found


class LoopBatches:
    """Predicts what tasks ask for in the same turn of the event loop in one call, in the next turn."""

    __slots__ = (
        "_closed",
        "_limit",
        "_loop",
        "_queue",
        "_record",
        "_scheduled",
        "runner",
        "waiting",
    )

    def __init__(
        self, runner: Runner, record_batch: Callable[[int], object] = record_nothing
    ) -> None:
        self.runner = runner
        self._record = record_batch
        self.waiting = 0
        self._loop = asyncio.get_running_loop()
        self._queue: deque[QueuedRequest] = deque()
        self._scheduled = self._closed = False
        self._limit = rows_at_once(runner.cost)

    def predict_row(self, values: list[float], deadline: float = math.inf) -> Awaitable[Predicted]:
        """Queue one row."""
        if self._closed:
            raise closed_error()
        return self._append(values, 1, deadline)

    def predict(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Queue rows."""
        if self._closed:
            raise closed_error()
        if len(rows) <= self._limit:
            return self._append(rows, len(rows), deadline)
        return self._predict_many(rows, deadline)

    def contributions(self, rows: Any, deadline: float = math.inf) -> Awaitable[Predicted]:
        """Explain rows in another thread, because that takes longer than to predict them."""
        if self._closed:
            raise closed_error()
        return _call_in_thread(self, self.runner.contributions, rows, deadline)

    async def close(self) -> None:
        """Close the model after the requests that wait."""
        self._closed = True
        await _wait_until_idle(self)
        self.runner.close()

    async def _predict_many(self, rows: Any, deadline: float) -> Predicted:
        self.waiting += 1
        try:
            return await _predict_in_parts(self._part, rows, self._limit, deadline)
        finally:
            self.waiting -= 1

    def _part(self, rows: Any, deadline: float) -> Awaitable[Predicted]:
        return self._append(rows, len(rows), deadline)

    def _append(self, rows: Any, count: int, deadline: float) -> asyncio.Future[Predicted]:
        future: asyncio.Future[Predicted] = self._loop.create_future()
        self.waiting += 1
        self._queue.append(QueuedRequest(rows, count, deadline, future))
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)
        return future

    def _run(self) -> None:
        taken = cut_batch(self._queue, self._limit)
        requests = [self._queue.popleft() for _ in range(taken)]
        self.waiting -= taken
        # What is left waits for another turn, so that the loop reads and writes between.
        self._scheduled = bool(self._queue)
        if self._scheduled:
            self._loop.call_soon(self._run)
        self._record(taken)
        for result in predict_requests(self.runner, requests, row_calls=True):
            result.deliver()


async def _predict_in_parts(
    predict: Callable[[Any, float], Awaitable[Predicted]], rows: Any, limit: int, deadline: float
) -> Predicted:
    """Predict rows in parts, so that other tasks get their turns between."""
    parts = [
        await predict(rows[first : first + limit], deadline) for first in range(0, len(rows), limit)
    ]
    return np.concatenate([found for found, _ in parts]), sum(cpu_s or 0.0 for _, cpu_s in parts)


async def _call_in_thread(
    dispatcher: InlineCalls | LoopBatches,
    function: Callable[[Any], Any],
    rows: Any,
    deadline: float,
) -> Predicted:
    """Call a model in a thread of the event loop's pool; at once if it isn't thread-safe."""
    if not dispatcher.runner.thread_safe:
        return _timed(function, rows, deadline)

    def leave(_: object) -> None:
        dispatcher.waiting -= 1

    dispatcher.waiting += 1
    loop = asyncio.get_running_loop()
    call = loop.run_in_executor(None, _timed, function, rows, deadline)
    call.add_done_callback(leave)
    # The call goes on if the caller gives up, and the model is closed after it.
    return await asyncio.shield(call)


def _timed(function: Callable[[Any], Any], rows: Any, deadline: float) -> Predicted:
    if time.monotonic() >= deadline:
        raise DeadlinePassed("its deadline passed before the model was called")
    started = time.thread_time()
    found = function(rows)
    return found, time.thread_time() - started


async def _wait_until_idle(dispatcher: Dispatcher) -> None:
    while dispatcher.waiting:
        await asyncio.sleep(_IDLE_S)
