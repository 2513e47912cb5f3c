"""Segments: the stored results of one memo, as files of row keys and values with an index in memory.

A segment is a Parquet file in the order in which results arrived, so that rows that were computed
together are adjacent. Its keys are held in memory, 24 bytes each; of its values only the rows that are
looked up and their neighbours are read. Adjacent small segments are merged once there are several. If a
row has two results, the older one stays in use. A segment is verified when a process opens it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import NamedTuple, TypeAlias

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.hashing.parquet_seal import SealMark, is_sound, mark_in, seal
from tidemill.analysis.hashing.row_keys import KeyIndex, Positions, RowKeys
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.memos.identity import count_to_merge
from tidemill.ports.reuse import Memos

# The maximum bytes and rows of a row group. Rows that are closer than `_NEAR`, and no farther apart than
# the length of a group, are read at once.
_GROUP = 2**20
_ROWS = 262_144
_NEAR = 4_096
_NOTHING = pl.DataFrame(schema={"high": pl.UInt64, "low": pl.UInt64, "value": pl.Binary})
_PATIENCE_S = 1.0


class Segment:
    """One segment, from a file or its bytes: an index of its keys, and access to its values.

    Raises StorageError if it is damaged.
    """

    def __init__(self, source: str | bytes) -> None:
        self._source = source
        frame = self._read(["high", "low"])
        self._index = KeyIndex(RowKeys(frame["high"].to_numpy(), frame["low"].to_numpy()))
        size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        self._near = min(_NEAR, frame.height * _GROUP // size)
        with self._report_damage():
            self.has_tokens = "tokens" in pl.read_parquet_schema(source)

    def find(self, keys: RowKeys) -> Positions:
        """Return the position of each key in the segment; -1 for keys that it doesn't have."""
        return self._index.find(keys)

    def values_at(self, places: Positions, column: str) -> pl.Series:
        """Return the values of a column at some positions."""
        first, last = int(places.min()), int(places.max())
        if last - first < self._near + 2 * len(places):
            return self._read([column], first, last - first + 1)[column].gather(places - first)
        ordered = np.sort(places)
        cuts = np.flatnonzero(np.diff(ordered) > max(self._near, 1)) + 1
        firsts = ordered[np.concatenate([[0], cuts])]
        counts = ordered[np.concatenate([cuts, [len(ordered)]]) - 1] - firsts + 1
        parts = [
            self._read([column], start, count)[column]
            for start, count in zip(firsts.tolist(), counts.tolist(), strict=True)
        ]
        part = np.searchsorted(firsts, places, side="right") - 1
        within = places - firsts[part] + (np.cumsum(counts) - counts)[part]
        return pl.concat(parts).gather(within)

    def whole(self) -> pl.DataFrame:
        """Return all rows, with the number of tokens of each."""
        frame = self._read(["high", "low", "value", *(["tokens"] if self.has_tokens else [])])
        return frame if self.has_tokens else frame.with_columns(tokens=pl.lit(0, pl.UInt32))

    def _read(
        self, columns: Sequence[str], start: int = 0, rows: int | None = None
    ) -> pl.DataFrame:
        with self._report_damage():
            query = pl.scan_parquet(self._source).select(columns).slice(start, rows)
            return query.collect(engine="in-memory")

    @contextmanager
    def _report_damage(self) -> Iterator[None]:
        try:
            yield
        except PolarsError as error:
            where = "a segment" if isinstance(self._source, bytes) else self._source
            text = str(error).partition("\n")[0]
            raise StorageError(
                f"{where} of a memo is damaged ({text}): delete it, and its rows are computed again"
            ) from error


class RecentRows:
    """Results that no opened segment has yet, with the interface of a segment."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.is_settled = False
        self.has_tokens = "tokens" in frame.columns
        self.frame = frame
        self._index = KeyIndex(RowKeys(frame["high"].to_numpy(), frame["low"].to_numpy()))

    def find(self, keys: RowKeys) -> Positions:
        """Return the position of each key; -1 for keys that aren't there."""
        return self._index.find(keys)

    def values_at(self, places: Positions, column: str) -> pl.Series:
        """Return the values of a column at some positions."""
        return self.frame[column].gather(places)


Piece: TypeAlias = tuple[Segment | RecentRows, Positions, Positions]


class FoundRows(NamedTuple):
    """Where rows were found: per segment the indices of the rows, and their positions in it."""

    pieces: Sequence[Piece]
    missing: Positions

    def with_found(self, more: FoundRows) -> FoundRows:
        """Add what was found of the missing rows."""
        pieces = [(held, self.missing[rows], places) for held, rows, places in more.pieces]
        return FoundRows([*self.pieces, *pieces], self.missing[more.missing])

    def values(self, gives: pl.DataType) -> pl.Series:
        """Return the values of the rows, all of which must have been found."""
        read = [held.values_at(places, "value").cast(gives) for held, _, places in self.pieces]
        if len(read) < 2:
            return read[0] if read else pl.Series("value", [], gives)
        rows = np.concatenate([rows for _, rows, _ in self.pieces])
        back = np.empty(len(rows), np.intp)
        back[rows] = np.arange(len(rows))
        return pl.concat(read).gather(back)

    @property
    def tokens(self) -> int:
        """The tokens spent on the values that were found, as far as they are known."""
        return sum(
            int(held.values_at(places, "tokens").sum())
            for held, _, places in self.pieces
            if held.has_tokens
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoResult:
    """The values of rows (None while some are `missing`), and the tokens spent on the known ones."""

    missing: Positions
    tokens: int
    values: pl.Series | None


class SegmentIndex:
    """The results stored in a memo space, looked up by row key; thread-safe."""

    def __init__(self, memos: Memos, space: str) -> None:
        self._memos = memos
        self._space = space
        self._open: dict[str, Segment] = {}
        self._recent: tuple[RecentRows, ...] = ()
        self._listed = self._begun = 0
        self._lock = threading.Lock()
        self._state_lock = threading.Lock()

    def refresh(self) -> None:
        """Load segments that any process added since the last refresh."""
        # One thread opens segments for all. The others don't wait for long: they may be threads of Polars,
        # which the reading one needs.
        locked = self._lock.acquire(timeout=_PATIENCE_S)
        try:
            while not self._open_segments():
                pass  # a segment was merged in the meantime: another one has its rows
        finally:
            if locked:
                self._lock.release()

    def _open_segments(self) -> bool:
        """Open what is stored, unless a later listing was opened meanwhile; False if a segment is gone."""
        with self._state_lock:
            self._begun += 1
            number, stored = self._begun, [held for held in self._recent if held.is_settled]
        opened = dict[str, Segment]()
        for name in self._memos.segments(self._space):
            held = self._open.get(name) or self._read(name)
            if held is None:
                return False
            opened[name] = held
        with self._state_lock:
            if number > self._listed:
                self._listed, self._open = number, opened
                self._recent = tuple(held for held in self._recent if held not in stored)
        return True

    def find(self, keys: RowKeys) -> FoundRows:
        """Find the stored results of rows, as of the last `refresh`."""
        pieces, rows = list[Piece](), np.arange(len(keys))
        # Read first: what is stored meanwhile is opened before it is dropped here.
        recent = self._recent
        sources: list[Segment | RecentRows] = [*self._open.values(), *recent]
        for held in sources:
            if not len(rows):
                break
            places = held.find(keys.take(rows) if pieces else keys)
            here = places >= 0
            if here.any():
                pieces.append((held, rows[here], places[here]))
                rows = rows[~here]
        return FoundRows(pieces, rows)

    def add(self, keys: RowKeys, values: pl.Series, tokens: pl.Series | None) -> None:
        """Store results durably; `find` sees them at once.

        Polars stores them, and may begin another query in this thread meanwhile, which looks for them.
        """
        columns = [pl.Series("high", keys.high), pl.Series("low", keys.low), values.alias("value")]
        columns += [] if tokens is None else [tokens.alias("tokens")]
        held = RecentRows(pl.DataFrame(columns))
        with self._state_lock:
            self._recent += (held,)
        try:
            self._memos.append(self._space, *_encode(held.frame, self._space))
        finally:
            # What couldn't be stored goes with the next listing as well.
            held.is_settled = True

    def result(self, keys: RowKeys, gives: pl.DataType, before: FoundRows) -> MemoResult:
        """Return the results of rows, of which some were found `before`; as of the last `refresh`."""
        found = before.with_found(self.find(keys.take(before.missing)))
        while True:
            try:
                values = None if len(found.missing) else found.values(gives)
                return MemoResult(missing=found.missing, tokens=found.tokens, values=values)
            except FileNotFoundError:
                # A segment was merged in the meantime: another one has its rows.
                self.refresh()
                found = self.find(keys)

    def repair(self, sound: Callable[[bytes], bool]) -> None:
        """Remove damaged data: segments that can't be read, and values that aren't `sound`."""
        for name in self._memos.segments(self._space):
            try:
                held = self._read(name)
                frame = held.whole() if held is not None else _NOTHING
                good = frame.filter([sound(value) for value in frame["value"]])
            except FileNotFoundError:
                continue  # it was merged in the meantime
            except (StorageError, PanicException):
                frame, good = None, _NOTHING
            if frame is None or good.height < frame.height:
                self._memos.merge(self._space, [name], *_encode(good, self._space))

    def compact(self) -> None:
        """Merge the newest small segments into one, if there are several."""
        sizes = self._memos.segments(self._space)
        newest = count_to_merge([*sizes.values()])
        if not newest:
            return
        self.refresh()
        opened, names = self._open, [*sizes][-newest:]
        # Another process may have merged them already.
        if opened.keys() >= {*names}:
            with suppress(FileNotFoundError):
                merged = _encode(_merge_segments([opened[name] for name in names]), self._space)
                self._memos.merge(self._space, names, *merged)

    def _read(self, name: str) -> Segment | None:
        """Open a segment that is as it was stored; None if another has to be opened in its place."""
        source = self._memos.open(self._space, name)
        try:
            if source is None or (isinstance(source, str) and self._replace(name, source)):
                return None
            return Segment(source)
        except FileNotFoundError:
            return None

    def _replace(self, name: str, path: str) -> bool:
        """Replace a segment that is damaged, or that has no checksum yet; return whether that was done.

        What a damaged one held is computed again; the file is kept.
        """
        mark = mark_in(name)
        if mark is None:
            with suppress(StorageError, PanicException):
                again = _encode(Segment(path).whole(), self._space)
                return self._memos.merge(self._space, [name], *again)
        elif not is_file_sound(mark, path, self._space):
            return self._memos.merge(
                self._space, [name], *_encode(_NOTHING, self._space), keep=True
            )
        return False


def damaged_segments(memos: Memos, space: str) -> Iterator[str]:
    """Yield the files of a space's segments that aren't what was stored."""
    for name in memos.segments(space):
        mark, path = mark_in(name), memos.open(space, name)
        with suppress(FileNotFoundError):
            if mark is not None and isinstance(path, str) and not is_file_sound(mark, path, space):
                yield path


def is_file_sound(mark: SealMark, path: str, space: str) -> bool:
    """Whether the file of a segment is what was stored in a space."""
    with open(path, "rb") as file:

        def read(offset: int, length: int) -> bytes:
            file.seek(offset)
            return file.read(length)

        return is_sound(mark, os.fstat(file.fileno()).st_size, read, space=space)


def _merge_segments(segments: Sequence[Segment]) -> pl.DataFrame:
    """Merge segments, with the oldest value of each key."""
    frame = pl.concat([held.whole() for held in segments])
    first = RowKeys(frame["high"].to_numpy(), frame["low"].to_numpy()).first_positions()
    told = any(held.has_tokens for held in segments)
    return frame[first] if told else frame[first].drop("tokens")


def _encode(frame: pl.DataFrame, space: str) -> tuple[bytes, str]:
    """Encode a segment with checksums; return the bytes and the mark for its name."""
    rows = max(1, frame.height)
    group = min(max(_GROUP * rows // max(1, int(frame.estimated_size())), 1), _ROWS)
    into = BytesIO()
    frame.write_parquet(
        into, compression="zstd", compression_level=1, statistics=False, row_group_size=group
    )
    mark = seal(into, space)
    return into.getvalue(), str(mark)
