"""What names a row of some columns, in 128 bits: the same values have the same key, on any machine.

The types of the columns aren't in it: keys are compared only among rows of the same types (see `space`).
Every value becomes bytes of a width that its type decides on, so that nothing runs into its neighbour:

    numbers, times, Boolean   a byte that says whether it is null, and 8 bytes; every NaN is the same NaN,
                              -0.0 isn't 0.0
    text and bytes            the hash of the bytes; another one for null, which nothing hashes to
    128 bits, Decimal         the hash of the digits, Enum and Categorical that of the text
    List, Array               the hash of the hashes of the elements
    Struct                    a byte that says whether it is null, and its fields

Changing any of it makes all that was kept unreachable; golden keys in the tests pin it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from xxhash import xxh3_128_digest

from tidemill.domain.errors import ContractError

Bytes2D = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]

_WIDTH = 16
_NULL = np.frombuffer(xxh3_128_digest(b"tidemill: null"), np.uint8)
_FLOATS = (pl.Float16, pl.Float32, pl.Float64)
_SIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Date, pl.Datetime, pl.Duration, pl.Time)
_UNSIGNED = (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Boolean)
_SPELLED = (pl.Int128, pl.UInt128, pl.Decimal, pl.Enum, pl.Categorical)


class Keys:
    """The keys of rows, as two halves."""

    __slots__ = ("high", "low")

    def __init__(self, high: Numbers, low: Numbers) -> None:
        self.high = high
        self.low = low

    def __len__(self) -> int:
        return len(self.high)

    def at(self, positions: Positions) -> Keys:
        """Those of some rows."""
        return Keys(self.high[positions], self.low[positions])

    def distinct(self) -> Positions:
        """The first row of each key, in order."""
        order = np.lexsort((self.low, self.high))
        sorted_ = self.at(order)
        first = np.ones(len(order), np.bool_)
        first[1:] = (sorted_.high[1:] != sorted_.high[:-1]) | (sorted_.low[1:] != sorted_.low[:-1])
        return np.sort(order[first])

    def find(self, among: Keys) -> Positions:
        """Where each key is `among` those, which are in the order of `high`; -1 for one that isn't.

        It is fastest when these are in that order, too.
        """
        if not len(among):
            return np.full(len(self), -1, np.intp)
        at = np.searchsorted(among.high, self.high)
        np.minimum(at, len(among) - 1, out=at)
        near = among.high[at] == self.high
        same = near & (among.low[at] == self.low)
        found = np.where(same, at, -1)
        # Two keys that share a half are rare: those behind the first of them.
        rows = np.flatnonzero(near & ~same)
        at = at[rows] + 1
        while len(rows):
            open_ = at < len(among)
            rows, at = rows[open_], at[open_]
            near = among.high[at] == self.high[rows]
            rows, at = rows[near], at[near]
            same = among.low[at] == self.low[rows]
            found[rows[same]] = at[same]
            rows, at = rows[~same], at[~same] + 1
        return found


def keys_of(columns: Sequence[pl.Series]) -> Keys:
    """The keys of the rows that columns of one length make up; ContractError for types without bytes."""
    parts = [_part(series) for series in columns]
    whole = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    digests = whole if whole.shape[1] == _WIDTH else _hashed(_rows(whole))
    halves = digests.view(">u8")
    return Keys(halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64))


def _part(series: pl.Series) -> Bytes2D:
    """The bytes of one column, a row each."""
    kind: Any = series.dtype.base_type()
    if kind in (pl.String, pl.Binary):
        return _texts(series.cast(pl.Binary))
    if kind in _SPELLED:
        return _texts(series.cast(pl.String).cast(pl.Binary))
    if kind in (pl.List, pl.Array):
        return _lists(series)
    if kind is pl.Struct:
        return _struct(series)
    return _fixed(series, kind)


def _fixed(series: pl.Series, kind: Any) -> Bytes2D:
    if kind in _FLOATS:
        values = series.cast(pl.Float64).fill_null(0.0).to_numpy()
        values = np.where(np.isnan(values), np.float64("nan"), values)
    elif kind in _SIGNED:
        values = series.to_physical().cast(pl.Int64).fill_null(0).to_numpy()
    elif kind in _UNSIGNED:
        values = series.cast(pl.UInt64).fill_null(0).to_numpy()
    elif kind is pl.Null:
        values = np.zeros(len(series), np.uint64)
    else:
        raise ContractError(
            f"column {series.name!r}: values of type {series.dtype} have no bytes to know them by; hand "
            "the function numbers, text, or lists and structs of them"
        )
    made = np.empty((len(series), 9), np.uint8)
    made[:, 0] = series.is_not_null().to_numpy()
    little = values.astype(values.dtype.newbyteorder("<"))
    made[:, 1:] = little.view(np.uint8).reshape(-1, 8)
    return made


def _texts(series: pl.Series) -> Bytes2D:
    digests = _hashed(series.fill_null(b"").to_list())
    return _with_nulls(digests, series)


def _lists(series: pl.Series) -> Bytes2D:
    if series.dtype.base_type() is pl.Array:
        series = series.arr.to_list()
    sizes = series.list.len().fill_null(0).to_numpy()
    elements = series.filter(sizes > 0).explode()
    digests = keys_of([elements])
    packed = np.column_stack((digests.high, digests.low)).astype(">u8").tobytes()
    stops = np.cumsum(sizes, dtype=np.int64) * _WIDTH
    starts = stops - sizes.astype(np.int64) * _WIDTH
    pieces = [
        packed[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    return _with_nulls(_hashed(pieces), series)


def _struct(series: pl.Series) -> Bytes2D:
    parts = [_part(part) for part in series.struct.unnest().get_columns()]
    valid = series.is_not_null().to_numpy()
    made = np.concatenate([valid.view(np.uint8).reshape(-1, 1), *parts], axis=1)
    made[~valid] = 0
    return made


def _with_nulls(digests: Bytes2D, series: pl.Series) -> Bytes2D:
    if series.null_count():
        return np.where(series.is_null().to_numpy()[:, None], _NULL, digests)
    return digests


def _rows(whole: Bytes2D) -> list[bytes]:
    """Each row of a table of bytes."""
    packed = np.ascontiguousarray(whole).view(f"V{whole.shape[1]}").ravel()
    found: list[bytes] = packed.tolist()
    return found


def _hashed(pieces: Sequence[bytes]) -> Bytes2D:
    return np.frombuffer(b"".join(map(xxh3_128_digest, pieces)), np.uint8).reshape(-1, _WIDTH)
