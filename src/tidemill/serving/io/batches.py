"""Predict the requests that wait for one model in one call, and give each its own result."""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.io.runner import USER_ERRORS, DeadlinePassed, Runner, task_error

# The predictions of a request, and its share of the CPU seconds; None if a cache had them.
Predicted: TypeAlias = "tuple[Any, float | None]"


@dataclass(slots=True, eq=False)
class QueuedRequest:
    """Rows to predict: the values of one, an array or a frame; `deadline` is of the monotonic clock.

    With `explained`, the contributions of their inputs are asked for.
    """

    rows: Any
    count: int
    deadline: float
    future: Future[Predicted]
    explained: bool = False


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The predictions of a request, or the reason why there are none."""

    request: QueuedRequest
    value: Any
    cpu_s: float = 0.0

    def deliver(self) -> None:
        """Let the request have it; only in the thread of its event loop."""
        future = self.request.future
        # The caller may have given up meanwhile.
        if future.done():
            return
        if isinstance(self.value, Exception):
            future.set_exception(self.value)
        else:
            future.set_result((self.value, self.cpu_s))


def record_nothing(requests: int) -> None:
    """Ignore how many requests a batch has."""


def predict_requests(
    runner: Runner, requests: Sequence[QueuedRequest], *, row_calls: bool
) -> list[RequestResult]:
    """Predict requests in one call, but for those whose caller gave up or whose deadline has passed.

    If the call fails, each is predicted alone, so that only those fail that are at fault. With `row_calls`, a
    request of one row that is alone is predicted by `predict_row`.
    """
    now = time.monotonic()
    awaited = [request for request in requests if not request.future.done()]
    late = [request for request in awaited if request.deadline <= now]
    results = [
        RequestResult(request, DeadlinePassed("its deadline passed while it waited for the model"))
        for request in late
    ]
    current = [request for request in awaited if request.deadline > now]
    if explained := [request for request in current if request.explained]:
        results += [_result_of(runner.contributions, request) for request in explained]
        current = [request for request in current if not request.explained]
    if len(current) > 1:
        started = time.thread_time()
        try:
            found = runner.predict(_joined(current))
        # Each request alone shows which is the reason.
        except USER_ERRORS:
            pass
        else:
            return results + _split(current, found, time.thread_time() - started)
    return results + [_predict_alone(runner, request, row_calls) for request in current]


def _predict_alone(runner: Runner, request: QueuedRequest, row_calls: bool) -> RequestResult:
    def predict(rows: Any) -> Any:
        if not isinstance(rows, list):
            return runner.predict(rows)
        if row_calls:
            return runner.predict_row(rows)
        return runner.predict(np.array([rows], dtype=np.float64))[0].tolist()

    return _result_of(predict, request)


def _result_of(function: Callable[[Any], Any], request: QueuedRequest) -> RequestResult:
    started = time.thread_time()
    try:
        value = function(request.rows)
    except USER_ERRORS as error:
        value = task_error(error)
    return RequestResult(request, value, time.thread_time() - started)


def _joined(requests: Sequence[QueuedRequest]) -> Any:
    """The rows of all requests in one array or frame; an error if they don't fit."""
    if isinstance(requests[0].rows, pl.DataFrame):
        return pl.concat([request.rows for request in requests], rechunk=True)
    if all(isinstance(request.rows, list) for request in requests):
        return np.array([request.rows for request in requests], dtype=np.float64)
    return np.concatenate([
        np.array([request.rows]) if isinstance(request.rows, list) else request.rows
        for request in requests
    ])  # fmt: skip


def _split(requests: Sequence[QueuedRequest], found: Any, cpu_s: float) -> list[RequestResult]:
    """The predictions and the CPU seconds of each request, which are in proportion to its rows."""
    share = cpu_s / sum(request.count for request in requests)
    results, at = [], 0
    for request in requests:
        own = found[at : at + request.count]
        value = own[0].tolist() if isinstance(request.rows, list) else own
        results.append(RequestResult(request, value, share * request.count))
        at += request.count
    return results


def cut_batch(requests: Sequence[QueuedRequest], limit: int) -> int:
    """How many requests from the first on have at most `limit` rows; at least one."""
    rows = 0
    for at, request in enumerate(requests):
        rows += request.count
        if rows > limit and at:
            return at
    return len(requests)
