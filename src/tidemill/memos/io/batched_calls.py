"""Call a memoised function on batches of rows: concurrently, rate-limited, and with retries."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import Context, copy_context
from typing import Any, NamedTuple

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.hashing.row_keys import Positions
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.memo import MemoFunction

# After this many failed batches, the service is down or the function is wrong: stop calling it.
_ENOUGH = 5
# How often to check for a deadlock between the function and Polars.
_LOOK_S = 1.0
_IN_POLARS = (
    "it uses Polars, whose threads may all be waiting for it: compute with the lists that it gets, "
    "or set POLARS_MAX_THREADS to more than the number of memos in a query"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """The results of one batch: `values` of the positions `rows`, and the errors of those that `failed`.

    `tokens` has a number per row, if the function returned them. A batch that was cancelled is empty.
    """

    rows: tuple[int, ...] = ()
    values: pl.Series | None = None
    tokens: pl.Series | None = None
    failed: tuple[tuple[int, BaseException], ...] = ()
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _RawResult:
    """The raw result of one batch: what the function returned, or its error, after some calls.

    A batch that was cancelled has neither.
    """

    rows: tuple[int, ...]
    returned: bool = False
    result: Any = None
    error: BaseException | None = None
    calls: int = 0


class BatchCaller:
    """Calls one function batch by batch; `turn` returns how many seconds to wait before the next call.

    The function runs in copies of the `context`, by default that of the caller.
    """

    def __init__(
        self, costly: MemoFunction, turn: Callable[[], float], context: Context | None = None
    ) -> None:
        self._costly = costly
        self._turn = turn
        self._context = context or copy_context()
        self._stop = threading.Event()
        self._fell = 0
        self._threads: set[int] = set()

    def call(self, columns: Sequence[pl.Series], rows: Positions) -> Generator[list[BatchResult]]:
        """Call the function on `rows` of the columns; yield all results since the last yield.

        The function runs in separate threads, which must not use Polars: the caller may occupy all threads
        of Polars. If they deadlock, the batches fail. Closing the generator cancels the waiting batches.
        """
        size, busy = self._costly.batch, self._costly.concurrency
        waiting = deque(rows[start : start + size] for start in range(0, len(rows), size))
        pending: dict[Future[_RawResult], tuple[int, ...]] = {}
        standstill = DeadlockDetector()
        pool = ThreadPoolExecutor(busy, thread_name_prefix=self._costly.name)
        try:
            while waiting or pending:
                # Submit few batches ahead, so that the others can still be cancelled.
                while waiting and len(pending) < 2 * busy:
                    batch = waiting.popleft()
                    values = [series.gather(batch).to_list() for series in columns]
                    asked = tuple(batch.tolist())
                    pending[pool.submit(self._call_with_retries, values, asked)] = asked
                done, _ = wait(pending, _LOOK_S, return_when=FIRST_COMPLETED)
                if not done and standstill.is_stuck(tuple(self._threads)):
                    error = UsageError(_IN_POLARS)
                    lost = [row for batch_rows in pending.values() for row in batch_rows]
                    yield [BatchResult(failed=tuple((row, error) for row in lost))]
                    return
                for future in done:
                    del pending[future]
                if done:
                    yield [self._batch_result(future.result()) for future in done]
        finally:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

    def _call_with_retries(self, values: Sequence[list[Any]], rows: tuple[int, ...]) -> _RawResult:
        """Call the function on one batch, with retries."""
        retries, calls = self._costly.retries, 0
        while self._fell < _ENOUGH and not self._stop.wait(self._turn()):
            calls += 1
            self._threads.add(threading.get_ident())
            try:
                result = self._context.copy().run(self._costly.function, *values)
                return _RawResult(rows=rows, returned=True, result=result, calls=calls)
            # Whatever the function raises is the result of the batch.
            except (Exception, PanicException, SystemExit) as error:  # noqa: BLE001
                if not retries.is_retryable(type(error)) or calls > retries.times:
                    self._fell += 1
                    return _RawResult(rows=rows, error=error, calls=calls)
            finally:
                self._threads.discard(threading.get_ident())
            self._stop.wait(retries.backoff_s(calls))
        return _RawResult(rows=rows, calls=calls)

    def _batch_result(self, raw: _RawResult) -> BatchResult:
        if raw.returned:
            try:
                return _convert_result(self._costly, raw)
            except (TypeError, ValueError) as error:
                self._fell += 1
                return BatchResult(failed=tuple((row, error) for row in raw.rows), calls=raw.calls)
        failed = () if raw.error is None else tuple((row, raw.error) for row in raw.rows)
        return BatchResult(failed=failed, calls=raw.calls)


def _convert_result(costly: MemoFunction, raw: _RawResult) -> BatchResult:
    """Convert what the function returned to the declared type; TypeError or ValueError if it can't be."""
    gave, tokens = raw.result, None
    if isinstance(gave, tuple) and len(gave) == 2:
        gave, tokens = gave
    count = len(raw.rows)
    if not hasattr(gave, "__len__") or isinstance(gave, (str, bytes, dict)):
        raise TypeError(
            f"it returned {type(gave).__name__}, not a list of {plural(count, 'value')}"
        )
    if len(gave) != count:
        raise ValueError(f"it returned {plural(len(gave), 'value')} for {plural(count, 'row')}")
    bad: dict[int, BaseException] = {}
    if isinstance(gave, list):
        bad = {n: item for n, item in enumerate(gave) if isinstance(item, Exception)}
    kept = [n for n in range(count) if n not in bad]
    used = None if tokens is None else _tokens_per_row(tokens, count)
    return BatchResult(
        rows=tuple(raw.rows[n] for n in kept),
        values=_typed_values(costly, [gave[n] for n in kept] if bad else gave),
        tokens=None if used is None else used.gather(kept),
        failed=tuple((raw.rows[n], error) for n, error in bad.items()),
        calls=raw.calls,
    )


def _typed_values(costly: MemoFunction, gave: Any) -> pl.Series:
    try:
        if isinstance(gave, pl.Series) or hasattr(gave, "__array__"):
            return pl.Series("value", gave).cast(costly.gives)
        return pl.Series("value", list(gave), dtype=costly.gives)
    except (PolarsError, TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"it returned no {costly.gives}, as gives= declares: {str(error).partition(chr(10))[0]}"
        ) from error


def _tokens_per_row(tokens: Any, rows: int) -> pl.Series:
    """Return the tokens per row; a total for the whole batch is split evenly."""
    if isinstance(tokens, int):
        each, more = divmod(tokens, rows)
        tokens = [each + (n < more) for n in range(rows)]
    if len(tokens) != rows:
        raise ValueError(
            f"it returned {plural(len(tokens), 'token count')} for {plural(rows, 'row')}"
        )
    return pl.Series("tokens", list(tokens), dtype=pl.UInt32)


_POLARS = os.path.dirname(pl.__file__) + os.sep
# A thread counts as stuck when it stays in Polars for this long while the process is almost idle.
_LONG_S, _SHARE = 10.0, 0.1


class _Since(NamedTuple):
    frame: int
    instruction: int
    wall_s: float
    cpu_s: float


class DeadlockDetector:
    """Detects threads that are stuck in Polars, by sampling their stacks."""

    def __init__(self) -> None:
        self._since: dict[int, _Since] = {}

    def is_stuck(self, threads: Iterable[int]) -> bool:
        """Whether one of these threads is stuck in Polars while the process is almost idle."""
        frames, since = sys._current_frames(), dict[int, _Since]()
        wall, cpu = time.monotonic(), time.process_time()
        for thread in threads:
            frame = frames.get(thread)
            if frame is not None and frame.f_code.co_filename.startswith(_POLARS):
                now = _Since(id(frame), frame.f_lasti, wall, cpu)
                known = self._since.get(thread, now)
                since[thread] = known if known[:2] == now[:2] else now
        self._since = since
        return any(
            wall - known.wall_s >= _LONG_S and cpu - known.cpu_s <= _SHARE * (wall - known.wall_s)
            for known in since.values()
        )
