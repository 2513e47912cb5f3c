"""Look up memoised rows, and call the function for those without a stored result.

A `MemoSession` per step stores results in the project and counts their cost. Outside of steps, results
are only kept for one query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial

import numpy as np
import polars as pl

from tidemill.analysis.hashing.row_keys import KeyIndex, Positions, RowKeys, row_keys
from tidemill.core.counts import plural
from tidemill.core.errors import TidemillError
from tidemill.memos.identity import space_name
from tidemill.memos.io.batched_calls import BatchCaller, BatchResult
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.memos.io.segments import SegmentIndex
from tidemill.ports.reuse import Memos
from tidemill.workflow.memo import MemoFunction, MemoUsage

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.5
# How many failed rows a message names, and the maximum length of each argument.
_NAMED, _LONG = 3, 80

_current_session: ContextVar[MemoSession | None] = ContextVar("memo session", default=None)


class _Computing(threading.local):
    """How many computations of rows this thread is in.

    While Polars waits in a thread of its own, it begins other queries there: one within another.
    """

    depth = 0


_computing = _Computing()
# The intents of this process, by space and name.
_own_intents: set[tuple[str, str]] = set()


class MemoIncomplete(TidemillError):
    """Raised when some rows of a memo have no value; the values of others are stored."""


class MemoSession:
    """Evaluates the memos of one step; thread-safe. `shelves` stay open from one step to the next."""

    def __init__(self, memos: Memos, shelves: dict[str, SegmentIndex] | None = None) -> None:
        self._memos = memos
        self._lock = threading.Lock()
        self._shelves = {} if shelves is None else shelves
        self._usage = MemoUsage()
        self.was_called = False
        self.failure: MemoIncomplete | None = None
        # That of the step, since Polars calls memos in threads of its own.
        self._context = copy_context()

    @property
    def usage(self) -> MemoUsage | None:
        """The use of memos in this session; None if no row was looked up."""
        return None if self._usage == MemoUsage() else self._usage

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Make this the session of memos that are called in this thread."""
        token = _current_session.set(self)
        self._context = copy_context()
        try:
            yield
        finally:
            _current_session.reset(token)

    def values(self, costly: MemoFunction, recipe: str, columns: Sequence[pl.Series]) -> pl.Series:
        """Return a memo's value for each row of the columns; MemoIncomplete if some have none."""
        space = space_name(costly.name, recipe, columns)
        with self._lock:
            shelf = self._shelves.setdefault(space, SegmentIndex(self._memos, space))
        shelf.refresh()
        keys = row_keys(columns)
        found = shelf.find(keys)
        search = _RowComputation(self._memos, space, shelf, costly, columns, self._context)
        try:
            if len(found.missing):
                search.compute(keys, found.missing[keys.take(found.missing).first_positions()])
        finally:
            known = shelf.result(keys, costly.gives, found)
            self._count(costly, len(keys) - len(known.missing), known.tokens, search)
        if known.values is None:
            self.failure = search.failure(len(keys), known.missing)
            raise self.failure
        return known.values

    def _count(self, costly: MemoFunction, rows: int, tokens: int, search: _RowComputation) -> None:
        fee, known, saved = (
            costly.price,
            max(rows - search.computed, 0),
            max(tokens - search.tokens, 0),
        )
        with self._lock:
            self._usage += MemoUsage(
                known=known,
                asked=search.computed,
                calls=search.calls,
                tokens=search.tokens,
                tokens_saved=saved,
                spent=fee.cost(search.computed, search.tokens),
                saved=fee.cost(known, saved),
            )


def current_session() -> MemoSession:
    """Return the session of the step that runs in this thread; a new one in memory outside of steps."""
    found = _current_session.get() or MemoSession(InMemoryMemos())
    found.was_called = True
    return found


def was_memo_called() -> bool:
    """Whether the step that runs in this thread has called a memo."""
    found = _current_session.get()
    return found is not None and found.was_called


class _RowComputation:
    """Computes the values of rows without stored results, and counts the cost."""

    def __init__(
        self,
        memos: Memos,
        space: str,
        shelf: SegmentIndex,
        costly: MemoFunction,
        columns: Sequence[pl.Series],
        context: Context,
    ) -> None:
        self._context = context
        self._memos = memos
        self._space = space
        self._shelf = shelf
        self._costly = costly
        self._columns = columns
        self._failed: dict[int, BaseException] = {}
        self.computed = 0
        self.calls = 0
        self.tokens = 0

    def compute(self, keys: RowKeys, rows: Positions) -> None:
        """Compute rows, except those that others are computing: wait for these."""
        while len(rows):
            with self._announce(keys.take(rows)) as (intent, others):
                # Only now: processes whose intents just vanished have stored their results.
                rows = self._still_unknown(keys, rows)
                theirs = _announced_mask(keys.take(rows), others)
                self._call(keys, rows[~theirs])
                rows = self._wait_for_others(keys, rows[theirs], others, intent)

    @contextmanager
    def _announce(self, keys: RowKeys) -> Iterator[tuple[str, Mapping[str, bytes]]]:
        """Announce the computation of rows; yield the intent, and those before it that may be waited for.

        Within another computation these are not of this process: the other one waits for this thread.
        """
        intent = self._memos.intend(self._space, _pack_keys(keys))
        _own_intents.add((self._space, intent))
        _computing.depth += 1
        try:
            yield intent, self._awaited(intent)
        finally:
            _computing.depth -= 1
            _own_intents.discard((self._space, intent))
            self._memos.withdraw(self._space, intent)

    def _awaited(self, intent: str) -> dict[str, bytes]:
        """The intents before one that may be waited for."""
        return {
            name: packed
            for name, packed in self._memos.intents(self._space, intent).items()
            if _computing.depth == 1 or (self._space, name) not in _own_intents
        }

    def failure(self, rows: int, missing: Positions) -> MemoIncomplete:
        """Return the error for rows without values: how many, which, and why."""
        errors = list(self._failed.values())
        why = f"{type(errors[0]).__name__}: {errors[0]}" if errors else "it wasn't called"
        named = [f"\n  {self._row(row)}" for row in list(self._failed)[:_NAMED]]
        more = len(self._failed) - len(named)
        unasked = len(missing) - len(self._failed)
        error = MemoIncomplete(
            f"{self._costly.name} has no value for {len(missing):,} of {plural(rows, 'row')}: {why} "
            f"({self._costly.place}){''.join(named)}"
            + (f"\n  and {more:,} more" if more > 0 else "")
            + (f"\n  {plural(unasked, 'row')} more not tried" if unasked > 0 and errors else "")
            + "\n  all other values are stored: the next run computes only these rows"
        )
        error.__cause__ = errors[0] if errors else None
        return error

    def _row(self, row: int) -> str:
        parts = []
        for name, series in zip(self._costly.arguments, self._columns, strict=True):
            text = repr(series[row])
            parts.append(f"{name}={text if len(text) <= _LONG else text[: _LONG - 3] + '...'}")
        return ", ".join(parts)

    def _still_unknown(self, keys: RowKeys, rows: Positions) -> Positions:
        self._shelf.refresh()
        return rows[self._shelf.find(keys.take(rows)).missing]

    def _call(self, keys: RowKeys, rows: Positions) -> None:
        if not len(rows):
            return
        space, every = self._space, self._costly.min_interval_s
        turn = partial(self._memos.turn, space, every) if every else lambda: 0.0
        asker = BatchCaller(self._costly, turn, self._context)
        try:
            with closing(asker.call(self._columns, rows)) as coming:
                for answers in coming:
                    self._store(keys, answers)
        finally:
            self._shelf.compact()
            self._shelf.refresh()

    def _store(self, keys: RowKeys, answers: Sequence[BatchResult]) -> None:
        """Store results durably, before waiting for more."""
        for answer in answers:
            self._failed.update(answer.failed)
            self.calls += answer.calls
        for counted in (True, False):
            kept = [a for a in answers if a.rows and (a.tokens is not None) is counted]
            if not kept:
                continue
            rows = np.array([row for answer in kept for row in answer.rows], np.intp)
            values = pl.concat([answer.values for answer in kept if answer.values is not None])
            counts = [a.tokens for a in kept if a.tokens is not None]
            tokens = pl.concat(counts) if counted else None
            self._shelf.add(keys.take(rows), values, tokens)
            self.computed += len(rows)
            self.tokens += int(tokens.sum()) if tokens is not None else 0

    def _wait_for_others(
        self, keys: RowKeys, rows: Positions, others: Mapping[str, bytes], intent: str
    ) -> Positions:
        """Wait until other processes have computed these rows; return those that are still unknown."""
        pause = _FIRST_PAUSE_S
        while len(rows):
            busy = not others.keys().isdisjoint(self._awaited(intent))
            rows = self._still_unknown(keys, rows)
            if not busy:
                break
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return rows


def _pack_keys(keys: RowKeys) -> bytes:
    return keys.high.tobytes() + keys.low.tobytes()


def _announced_mask(
    keys: RowKeys, others: Mapping[str, bytes]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return a mask of the keys that other processes have announced to compute."""
    theirs = np.zeros(len(keys), np.bool_)
    for packed in others.values():
        halves = np.frombuffer(packed, np.uint64).reshape(2, -1)
        theirs |= KeyIndex(RowKeys(halves[0], halves[1])).find(keys) >= 0
    return theirs
