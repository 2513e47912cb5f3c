"""Compute the features of requests in a thread, all that wait at once.

A query over one row costs nearly as much as one over many. So what is queued when the thread is free is
computed together, without waiting for more.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

import polars as pl

from tidemill.core.errors import ConflictError
from tidemill.serving.io.feature_query import FeatureQuery, Features
from tidemill.serving.io.runner import USER_ERRORS, task_error
from tidemill.serving.rows import RequestRows

# Returns rows as a frame; that of all versions of an endpoint does the same.
RowFrame: TypeAlias = Callable[[RequestRows], pl.DataFrame]

# Rows that are computed together at most; one request may have more.
_MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ComputedFeatures:
    """The features of the rows of one request, and its share of the CPU seconds."""

    features: Features
    cpu_s: float


@dataclass(slots=True, eq=False)
class _Waiting:
    rows: RequestRows
    frame: RowFrame
    columns: tuple[str, ...]
    future: asyncio.Future[ComputedFeatures]


class FeatureThread:
    """Computes features for the tasks of one event loop."""

    def __init__(self, query: FeatureQuery) -> None:
        self._query = query
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tidemill-features")
        self._queue: deque[_Waiting] = deque()
        self._is_running = self._is_closed = False

    @property
    def waiting(self) -> int:
        """The number of requests that wait for the thread."""
        return len(self._queue)

    def compute(
        self, rows: RequestRows, frame: RowFrame, columns: Sequence[str]
    ) -> asyncio.Future[ComputedFeatures]:
        """Compute some columns of the features of rows, of which `frame` makes a frame."""
        if self._is_closed:
            raise ConflictError("the endpoint is closed")
        future: asyncio.Future[ComputedFeatures] = self._loop.create_future()
        self._queue.append(_Waiting(rows, frame, tuple(columns), future))
        self._run_if_idle()
        return future

    async def close(self) -> None:
        """End the thread after what waits; later requests raise ConflictError."""
        self._is_closed = True
        while self._queue or self._is_running:
            await asyncio.sleep(0.005)
        self._thread.shutdown(wait=True)

    def _run_if_idle(self) -> None:
        if self._is_running or not self._queue:
            return
        self._is_running = True
        batch = self._take()
        done = self._loop.run_in_executor(self._thread, self._compute, batch)
        done.add_done_callback(lambda found: self._deliver(batch, found))

    def _take(self) -> list[_Waiting]:
        """The next requests for the same columns, up to so many rows."""
        batch, rows = [self._queue.popleft()], 0
        while self._queue and self._queue[0].columns == batch[0].columns:
            rows += batch[-1].rows.count
            if rows + self._queue[0].rows.count > _MOST_ROWS:
                break
            batch.append(self._queue.popleft())
        return [each for each in batch if not each.future.done()]

    def _compute(self, batch: Sequence[_Waiting]) -> list[ComputedFeatures | Exception]:
        if not batch:
            return []
        try:
            return self._compute_together(batch)
        except USER_ERRORS as error:
            if len(batch) == 1:
                return [task_error(error)]
        # One row may be at fault, and only its request fails.
        return [found for each in batch for found in self._compute([each])]

    def _compute_together(self, batch: Sequence[_Waiting]) -> list[ComputedFeatures | Exception]:
        started = time.thread_time()
        together = _frame_of(batch)
        found = self._query.compute(together, batch[0].columns)
        cpu_s = time.thread_time() - started
        results: list[ComputedFeatures | Exception] = []
        start = 0
        for each in batch:
            end = start + each.rows.count
            part = Features(
                rows=found.rows[start:end],
                missing={n - start: why for n, why in found.missing.items() if start <= n < end},
                lookups=found.lookups,
            )
            share = cpu_s * each.rows.count / together.height
            results.append(ComputedFeatures(part, share))
            start = end
        return results

    def _deliver(self, batch: Sequence[_Waiting], done: asyncio.Future[Any]) -> None:
        self._is_running = False
        for each, found in zip(batch, done.result(), strict=True):
            if each.future.done():
                continue
            if isinstance(found, Exception):
                each.future.set_exception(found)
            else:
                each.future.set_result(found)
        self._run_if_idle()


def _frame_of(batch: Sequence[_Waiting]) -> pl.DataFrame:
    """The rows of all requests as one frame, which is made once for rows that came as lists."""
    make = batch[0].frame
    if len(batch) == 1:
        return make(batch[0].rows)
    if all(each.rows.frame is None and each.rows.has_lists for each in batch):
        columns = zip(*(each.rows.columns for each in batch), strict=True)
        count = sum(each.rows.count for each in batch)
        return make(RequestRows(count, tuple(list(chain(*parts)) for parts in columns)))
    return pl.concat([make(each.rows) for each in batch])
