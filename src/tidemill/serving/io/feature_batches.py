"""Compute the features of requests that wait at once together, on the event loop or in a thread.

A query over one row costs nearly as much as one over many. So what is queued is computed together, without
waiting for more: short batches on the event loop, because a thread that computes holds up the loop anyway
whenever it has the GIL, others in a thread of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, TypeAlias

import polars as pl

from tidemill.core.errors import ConflictError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.call_cost import BatchCost
from tidemill.serving.io.feature_query import FeatureQuery, Features, LookupsNotLoaded
from tidemill.serving.io.runner import USER_ERRORS, task_error
from tidemill.serving.rows import RequestRows

# Returns rows as a frame; that of all versions of an endpoint does the same.
RowFrame: TypeAlias = Callable[[RequestRows], pl.DataFrame]
# Returns the rows of a frame of features if their contract surely accepts them; so does that of all versions
# that read the same columns.
QuickAccept: TypeAlias = Callable[[pl.DataFrame], RequestRows | None]

# Rows that are computed together at most; one request may have more.
_MOST_ROWS = 10_000


class ComputedFeatures:
    """The features of the rows of one request, and its share of the CPU seconds.

    `accepted` are the rows if their contract surely accepts all, without a frame.
    """

    __slots__ = ("_batch", "_start", "accepted", "count", "cpu_s")

    def __init__(
        self, batch: Features, start: int, count: int, accepted: RequestRows | None, cpu_s: float
    ) -> None:
        self._batch, self._start = batch, start
        self.count, self.accepted, self.cpu_s = count, accepted, cpu_s

    @property
    def lookups(self) -> Any:
        """When each lookup that was used was published, in Unix seconds."""
        return self._batch.lookups

    @property
    def frame(self) -> pl.DataFrame:
        """The features as a frame, with null in rows that are missing."""
        return self._batch.rows[self._start : self._start + self.count]

    @property
    def features(self) -> Features:
        """The features, and the rows that have none."""
        start, end = self._start, self._start + self.count
        missing = {at - start: why for at, why in self._batch.missing.items() if start <= at < end}
        return Features(rows=self.frame, missing=missing, lookups=self._batch.lookups)


@dataclass(slots=True, eq=False)
class _Waiting:
    rows: RequestRows
    frame: RowFrame
    accept: QuickAccept
    columns: tuple[str, ...]
    future: asyncio.Future[ComputedFeatures]


class FeatureBatches:
    """Computes features for the tasks of one event loop.

    A batch is taken once a turn of the loop has brought no further request. It is computed on the loop if
    batches were short lately and its lookups are in memory, else in the thread.
    """

    def __init__(self, query: FeatureQuery) -> None:
        self._query = query
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tidemill-features")
        self._queue: deque[_Waiting] = deque()
        self._cost = BatchCost()
        # How many waited in the turn before.
        self._seen = 0
        # Whether a turn is scheduled, or a batch is in the thread.
        self._is_running = self._is_closed = False

    @property
    def waiting(self) -> int:
        """The number of requests that wait to be computed."""
        return len(self._queue)

    def compute(
        self, rows: RequestRows, frame: RowFrame, accept: QuickAccept, columns: Sequence[str]
    ) -> asyncio.Future[ComputedFeatures]:
        """Compute some columns of the features of rows, of which `frame` makes a frame."""
        if self._is_closed:
            raise ConflictError("the endpoint is closed")
        future: asyncio.Future[ComputedFeatures] = self._loop.create_future()
        self._queue.append(_Waiting(rows, frame, accept, tuple(columns), future))
        self._schedule()
        return future

    async def close(self) -> None:
        """End the thread after what waits; later requests raise ConflictError."""
        self._is_closed = True
        while self._queue or self._is_running:
            await asyncio.sleep(0.005)
        self._thread.shutdown(wait=True)

    def _schedule(self) -> None:
        if not self._is_running and self._queue:
            self._is_running, self._seen = True, 0
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Compute what waits, unless the last turn brought more, as the next one may."""
        waiting = len(self._queue)
        if self._seen < waiting < self._cost.rows:
            self._seen = waiting
            self._loop.call_soon(self._turn)
            return
        batch = self._take(self._cost.rows or _MOST_ROWS)
        if sum(each.rows.count for each in batch) <= self._cost.rows:
            try:
                found = self._compute(batch, may_load=False)
            except LookupsNotLoaded:
                pass
            else:
                self._deliver(batch, found)
                return
        done = self._loop.run_in_executor(self._thread, self._compute, batch)
        done.add_done_callback(lambda ended: self._deliver(batch, ended.result()))

    def _take(self, most: int) -> list[_Waiting]:
        """The next requests for the same columns, up to so many rows."""
        batch, rows = [self._queue.popleft()], 0
        while self._queue and self._queue[0].columns == batch[0].columns:
            rows += batch[-1].rows.count
            if rows + self._queue[0].rows.count > most:
                break
            batch.append(self._queue.popleft())
        return [each for each in batch if not each.future.done()]

    def _compute(
        self, batch: Sequence[_Waiting], may_load: bool = True
    ) -> list[ComputedFeatures | Exception]:
        if not batch:
            return []
        try:
            return self._compute_together(batch, may_load)
        except LookupsNotLoaded:
            raise
        except USER_ERRORS as error:
            if len(batch) == 1:
                return [task_error(error)]
        # One row may be at fault, and only its request fails.
        return [found for each in batch for found in self._compute([each], may_load)]

    def _compute_together(
        self, batch: Sequence[_Waiting], may_load: bool
    ) -> list[ComputedFeatures | Exception]:
        started = time.thread_time()
        together = _frame_of(batch)
        found = self._query.compute(together, batch[0].columns, may_load=may_load)
        accepted = None if found.missing else batch[0].accept(found.rows)
        cpu_s = time.thread_time() - started
        self._cost.note(together.height, cpu_s)
        results: list[ComputedFeatures | Exception] = []
        start, share = 0, cpu_s / together.height
        for each in batch:
            count = each.rows.count
            own = None if accepted is None else _part(accepted, start, count)
            results.append(ComputedFeatures(found, start, count, own, share * count))
            start += count
        return results

    def _deliver(
        self, batch: Sequence[_Waiting], found: Sequence[ComputedFeatures | Exception]
    ) -> None:
        self._is_running = False
        for each, result in zip(batch, found, strict=True):
            if each.future.done():
                continue
            if isinstance(result, Exception):
                each.future.set_exception(result)
            else:
                each.future.set_result(result)
        self._schedule()


def _part(rows: RequestRows, start: int, count: int) -> RequestRows:
    """Some neighbouring rows, without a frame."""
    end = start + count
    return RequestRows(count, tuple([values[start:end] for values in rows.columns]))


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
