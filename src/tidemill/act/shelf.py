"""The kept results of one memo, as this process has them open: segments of keys and values.

A segment is a Parquet file in the order in which results came, so that what was computed together lies
together. Its keys are held in memory, 24 bytes each; of its values only the neighbourhoods of rows that
are looked up are read. Small segments are merged once there are several, neighbours with neighbours, so
that of two results for one row the older stays the one that is found.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.decide.rowkeys import Keys, Positions
from tidemill.domain.errors import StorageError
from tidemill.ports import Memos

# So many small segments become one; a segment counts as small beside newer ones a quarter of its size.
_SEVERAL = 8
_LARGER = 4
_TINY = 2**16
# What is this large stays as it is: to copy it again and again would cost more than it gains.
_LARGE = 512 * 2**20
# Values are written in groups of so many bytes, and rows; rows that are closer than this, and no farther
# apart than a group is long, are read at once.
_GROUP = 4 * 2**20
_ROWS = 262_144
_NEAR = 4_096
_NOTHING = pl.DataFrame(schema={"high": pl.UInt64, "low": pl.UInt64, "value": pl.Binary})


class Segment:
    """One file, or its bytes: the keys that it has, and their values; StorageError if it is damaged."""

    def __init__(self, source: str | bytes) -> None:
        self._source = source
        frame = self._read(["high", "low"])
        keys = Keys(frame["high"].to_numpy(), frame["low"].to_numpy())
        self._places = np.argsort(keys.high)
        self._keys = keys.at(self._places)
        size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
        self._near = min(_NEAR, len(keys) * _GROUP // size)
        with self._explaining():
            self.told = "tokens" in pl.read_parquet_schema(source)

    def find(self, keys: Keys) -> Positions:
        """Where each key is in the file, -1 for one that isn't."""
        found = keys.find(self._keys)
        if not len(self._places):
            return found
        places = self._places[found]
        places[found < 0] = -1
        return places

    def at(self, places: Positions, column: str) -> pl.Series:
        """A column's values in some rows."""
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
        """All of it, with the number of tokens of each row."""
        frame = self._read(["high", "low", "value", *(["tokens"] if self.told else [])])
        return frame if self.told else frame.with_columns(tokens=pl.lit(0, pl.UInt32))

    def _read(
        self, columns: Sequence[str], start: int = 0, rows: int | None = None
    ) -> pl.DataFrame:
        with self._explaining():
            query = pl.scan_parquet(self._source).select(columns).slice(start, rows)
            return query.collect(engine="in-memory")

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except PolarsError as error:
            where = "a segment" if isinstance(self._source, bytes) else self._source
            text = str(error).partition("\n")[0]
            raise StorageError(
                f"{where} of a memo is damaged ({text}): delete it, and what it held is computed anew"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where rows were found: the number of the segment (-1: nowhere), and the place in it."""

    segments: Sequence[Segment]
    segment: Positions
    place: Positions

    @property
    def missing(self) -> Positions:
        """The rows that were found nowhere."""
        return np.flatnonzero(self.segment < 0)

    def values(self, gives: pl.DataType) -> pl.Series:
        """The values of rows that were all found."""
        if len(self.segments) == 1 and len(self.place):
            return self.segments[0].at(self.place, "value").cast(gives)
        rows = [np.flatnonzero(self.segment == number) for number in range(len(self.segments))]
        pieces = [
            held.at(self.place[own], "value").cast(gives)
            for held, own in zip(self.segments, rows, strict=True)
            if len(own)
        ]
        if len(pieces) < 2:
            return pieces[0] if pieces else pl.Series("value", [], gives)
        back = np.empty(len(self.place), np.intp)
        back[np.concatenate(rows)] = np.arange(len(back))
        return pl.concat(pieces).gather(back)

    @property
    def tokens(self) -> int:
        """The tokens that it took to get the values of rows, as far as they were found and told."""
        rows = {
            n: self.place[self.segment == n] for n, held in enumerate(self.segments) if held.told
        }
        return sum(
            int(self.segments[number].at(own, "tokens").sum())
            for number, own in rows.items()
            if len(own)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The values of rows, None while some are `missing`; and the tokens that it took to get those known."""

    missing: Positions
    tokens: int
    values: pl.Series | None


class Shelf:
    """The results of rows of a space; for any thread."""

    def __init__(self, memos: Memos, space: str) -> None:
        self._memos = memos
        self._space = space
        self._open: dict[str, Segment] = {}

    def refresh(self) -> None:
        """See what was added since, by anybody."""
        while True:
            known, opened = self._open, dict[str, Segment]()
            for name in self._memos.segments(self._space):
                held = known.get(name) or self._read(name)
                if held is None:
                    break  # it was merged away in between: another one has what it had
                opened[name] = held
            else:
                self._open = opened
                return

    def find(self, keys: Keys) -> Found:
        """Where the results of rows are, as far as was seen."""
        segments = tuple(self._open.values())
        segment, place = np.full(len(keys), -1, np.intp), np.zeros(len(keys), np.intp)
        # In their order they are found several times as fast.
        order = np.argsort(keys.high)
        rest = keys.at(order)
        for number, held in enumerate(segments):
            places = held.find(rest)
            here = places >= 0
            if here.all():
                # What isn't known by now is here.
                segment[segment < 0] = number
                place[order] = places
                break
            segment[order[here]] = number
            place[order[here]] = places[here]
            order = order[~here]
            rest = keys.at(order)
        return Found(segments=segments, segment=segment, place=place)

    def add(self, keys: Keys, values: pl.Series, tokens: pl.Series | None) -> None:
        """Keep results durably; they are found after the next `refresh`."""
        columns = [pl.Series("high", keys.high), pl.Series("low", keys.low), values.alias("value")]
        columns += [] if tokens is None else [tokens.alias("tokens")]
        self._memos.append(self._space, _encoded(pl.DataFrame(columns)))

    def result(self, keys: Keys, gives: pl.DataType) -> Result:
        """What is known of rows, as far as was seen by `refresh`."""
        while True:
            found = self.find(keys)
            missing = found.missing
            try:
                values = None if len(missing) else found.values(gives)
                return Result(missing=missing, tokens=found.tokens, values=values)
            except FileNotFoundError:
                # A segment was merged away: another one has what it had.
                self.refresh()

    def repair(self, sound: Callable[[bytes], bool]) -> None:
        """Take out what is damaged: segments that can't be read, and values that aren't `sound`."""
        for name in self._memos.segments(self._space):
            try:
                held = self._read(name)
                frame = held.whole() if held is not None else _NOTHING
                good = frame.filter([sound(value) for value in frame["value"]])
            except FileNotFoundError:
                continue  # it was merged away in between
            except (StorageError, PanicException):
                frame, good = None, _NOTHING
            if frame is None or good.height < frame.height:
                self._memos.merge(self._space, [name], _encoded(good))

    def compact(self) -> None:
        """Merge the newest segments into one, if there are several small ones."""
        opened, sizes = self._open, self._memos.segments(self._space)
        names: list[str] = []
        total = 0
        for name in reversed(opened):
            size = sizes.get(name, _LARGE)
            if total + size > _LARGE or (names and size > max(_LARGER * total, _TINY)):
                break
            names.insert(0, name)
            total += size
        # What somebody else has merged is gone.
        with suppress(FileNotFoundError):
            if len(names) >= _SEVERAL:
                self._memos.merge(self._space, names, _merged([opened[name] for name in names]))

    def _read(self, name: str) -> Segment | None:
        source = self._memos.open(self._space, name)
        try:
            return None if source is None else Segment(source)
        except FileNotFoundError:
            return None


def _merged(segments: Sequence[Segment]) -> bytes:
    """All that segments hold, each key once: with its oldest value."""
    frame = pl.concat([held.whole() for held in segments])
    first = Keys(frame["high"].to_numpy(), frame["low"].to_numpy()).distinct()
    told = any(held.told for held in segments)
    return _encoded(frame[first] if told else frame[first].drop("tokens"))


def _encoded(frame: pl.DataFrame) -> bytes:
    rows = max(1, frame.height)
    group = min(max(_GROUP * rows // max(1, int(frame.estimated_size())), 1), _ROWS)
    into = BytesIO()
    frame.write_parquet(
        into, compression="zstd", compression_level=1, statistics=False, row_group_size=group
    )
    return into.getvalue()
