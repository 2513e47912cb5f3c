"""128-bit keys of rows: rows of equal values have equal keys, on every machine.

The types of the columns aren't part of the key: compare keys only between rows of the same types.
Every value is encoded in a width that its type determines, so that no two rows share their bytes:

    numbers, times, Boolean   a byte for null or not, and 8 bytes; all NaNs are equal, -0.0 differs from 0.0
    text and bytes            the hash of the bytes; a hash of its own for null
    128 bits, Decimal         the hash of the digits
    Enum, Categorical         the hash of the text
    List, Array               the hash of the hashes of the elements
    Struct                    a byte for null or not, and its fields

Changing the encoding makes all stored rows unreachable; golden keys in the tests pin it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from xxhash import xxh3_128_digest

from tidemill.core.errors import ContractError

Bytes2D = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.intp]
Places = npt.NDArray[np.int32]

_WIDTH = 16
# Rows that are looked up together, and pieces that are hashed together: few enough for the CPU's cache,
# which is three times as fast as a million at once.
_BLOCK, _PIECES = 16_384, 2_048
_NULL = np.frombuffer(xxh3_128_digest(b"tidemill: null"), np.uint8)
_FLOATS = (pl.Float16, pl.Float32, pl.Float64)
_SIGNED = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Date, pl.Datetime, pl.Duration, pl.Time)
_UNSIGNED = (pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Boolean)
_SPELLED = (pl.Int128, pl.UInt128, pl.Decimal, pl.Enum, pl.Categorical)


class RowKeys:
    """The keys of rows, as two arrays of 64-bit halves."""

    __slots__ = ("high", "low")

    def __init__(self, high: Numbers, low: Numbers) -> None:
        self.high = high
        self.low = low

    def __len__(self) -> int:
        return len(self.high)

    def take(self, positions: Positions) -> RowKeys:
        """The keys at some positions."""
        return RowKeys(self.high[positions], self.low[positions])

    def first_positions(self) -> Positions:
        """The position of the first row of each key, sorted."""
        order = np.lexsort((self.low, self.high))
        sorted_ = self.take(order)
        first = np.ones(len(order), np.bool_)
        first[1:] = (sorted_.high[1:] != sorted_.high[:-1]) | (sorted_.low[1:] != sorted_.low[:-1])
        return np.sort(order[first])


class KeyIndex:
    """A hash table of distinct keys, made when keys are looked up in another order than theirs.

    A slot, chosen by the first bits of a key, holds the position of the last key that was inserted there;
    each key links to the one before it in its slot.
    """

    __slots__ = ("_keys", "_shift", "_table")

    def __init__(self, keys: RowKeys) -> None:
        self._keys = keys
        self._shift = np.uint64(63 - len(keys).bit_length())
        self._table: tuple[Places, Places] | None = None

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys: RowKeys) -> Positions:
        """The position of each key, -1 for a missing key."""
        found = np.full(len(keys), -1, np.intp)
        following = 0
        for start in range(0, len(keys) if len(self) else 0, _BLOCK):
            block = slice(start, start + _BLOCK)
            found[block] = self._look_up(keys.high[block], keys.low[block], following)
            following = int(found[block][-1]) + 1
        return found

    def _look_up(self, high: Numbers, low: Numbers, following: int) -> Positions:
        """The positions of keys, which often are those `following` the ones that were looked up before."""
        held, end = self._keys, following + len(high)
        if np.array_equal(held.high[following:end], high) and np.array_equal(
            held.low[following:end], low
        ):
            return np.arange(following, end)
        last, before = self._table = self._table or self._make_table()
        found = last[self._slots(high)].astype(np.intp)
        wrong = np.flatnonzero((held.high[found] != high) | (held.low[found] != low))
        at = found[wrong]
        while len(wrong):
            at = np.where(at < 0, -1, before[at])
            found[wrong] = at
            more = (at >= 0) & ((held.high[at] != high[wrong]) | (held.low[at] != low[wrong]))
            wrong, at = wrong[more], at[more]
        return found

    def _make_table(self) -> tuple[Places, Places]:
        """The last position in each slot, and the one before each position in its slot."""
        last = np.full(1 << (64 - int(self._shift)), -1, np.int32)
        before = np.full(len(self), -1, np.int32)
        for start in range(0, len(self), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(self)), dtype=np.int32)
            slots = self._slots(self._keys.high[start : start + _BLOCK])
            while len(rows):
                held = last[slots]
                # One row per slot is inserted; the others follow in the next rounds.
                last[slots] = rows
                entered = last[slots] == rows
                before[rows[entered]] = held[entered]
                rows, slots = rows[~entered], slots[~entered]
        return last, before

    def _slots(self, high: Numbers) -> npt.NDArray[np.int64]:
        return (high >> self._shift).view(np.int64)


def row_keys(columns: Sequence[pl.Series]) -> RowKeys:
    """The keys of rows, given as columns of equal length; ContractError for types without bytes."""
    parts = [_column_bytes(series) for series in columns]
    whole = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    digests = whole if whole.shape[1] == _WIDTH else _hash_rows(whole)
    halves = digests.view(">u8")
    return RowKeys(halves[:, 0].astype(np.uint64), halves[:, 1].astype(np.uint64))


def _column_bytes(series: pl.Series) -> Bytes2D:
    """Encode one column: a row of bytes per value."""
    kind: Any = series.dtype.base_type()
    if kind in (pl.String, pl.Binary):
        return _text_hashes(series.cast(pl.Binary))
    if kind in _SPELLED:
        return _text_hashes(series.cast(pl.String).cast(pl.Binary))
    if kind in (pl.List, pl.Array):
        return _list_hashes(series)
    if kind is pl.Struct:
        return _struct_bytes(series)
    return _fixed_width_bytes(series, kind)


def _fixed_width_bytes(series: pl.Series, kind: Any) -> Bytes2D:
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
            f"column {series.name!r}: values of type {series.dtype} have no bytes to "
            "identify them by; pass the function numbers, text, or lists and structs of them"
        )
    made = np.empty((len(series), 9), np.uint8)
    made[:, 0] = series.is_not_null().to_numpy()
    little = values.astype(values.dtype.newbyteorder("<"))
    made[:, 1:] = little.view(np.uint8).reshape(-1, 8)
    return made


def _text_hashes(series: pl.Series) -> Bytes2D:
    filled = series.fill_null(b"")
    digests = _hash_pieces(len(series), lambda start, stop: filled[start:stop].to_list())
    return _with_nulls(digests, series)


def _list_hashes(series: pl.Series) -> Bytes2D:
    if series.dtype.base_type() is pl.Array:
        series = series.arr.to_list()
    sizes = series.list.len().fill_null(0).to_numpy()
    elements = series.filter(sizes > 0).explode()
    digests = row_keys([elements])
    packed = np.column_stack((digests.high, digests.low)).astype(">u8").tobytes()
    ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]) * _WIDTH

    def pieces(start: int, stop: int) -> list[bytes]:
        return [packed[one:next_] for one, next_ in pairwise(ends[start : stop + 1].tolist())]

    return _with_nulls(_hash_pieces(len(series), pieces), series)


def _struct_bytes(series: pl.Series) -> Bytes2D:
    parts = [_column_bytes(part) for part in series.struct.unnest().get_columns()]
    valid = series.is_not_null().to_numpy()
    made = np.concatenate([valid.view(np.uint8).reshape(-1, 1), *parts], axis=1)
    made[~valid] = 0
    return made


def _with_nulls(digests: Bytes2D, series: pl.Series) -> Bytes2D:
    if series.null_count():
        return np.where(series.is_null().to_numpy()[:, None], _NULL, digests)
    return digests


def _hash_rows(whole: Bytes2D) -> Bytes2D:
    """Hash each row of a table of bytes."""
    packed = np.ascontiguousarray(whole).view(f"V{whole.shape[1]}").ravel()
    return _hash_pieces(len(packed), lambda start, stop: packed[start:stop].tolist())


def _hash_pieces(count: int, pieces: Callable[[int, int], list[bytes]]) -> Bytes2D:
    """Hash `count` pieces in blocks, so that only a few of them exist at a time."""
    digests = [
        b"".join(map(xxh3_128_digest, pieces(start, min(start + _PIECES, count))))
        for start in range(0, count, _PIECES)
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _WIDTH)
