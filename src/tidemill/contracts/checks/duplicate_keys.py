"""Find the rows that may repeat a key, by one integer code per row.

Integers, dates, timestamps, booleans and enums are their own code; two such columns are packed into one
integer if their ranges fit. Other keys get a 64-bit hash. Dense codes mark a bitmap, sparse ones go into
a hash table of tags. Equal keys always have equal codes, so a row with a unique code repeats nothing;
callers compare the few remaining rows by value, so no hash decides. There is no set of all keys: memory
is a few bytes per row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import polars as pl

Codes: TypeAlias = "np.ndarray[Any, Any]"

# The most bitmap places per row; beyond that, hashing is cheaper than scanning the bitmap.
_SPARSE = 64
# Rows hashed at a time, so that the working set stays in the processor's caches.
_STRIDE = 1 << 18
# Places of the bitmap (bytes) processed at a time.
_SEGMENT = 1 << 26
_EXACT = (pl.Date, pl.Datetime, pl.Duration, pl.Time, pl.Boolean, pl.Enum)
_PACKED = 1 << 63
_MIX = 0x9E3779B97F4A7C15


def is_exact(dtype: pl.DataType) -> bool:
    """Whether an integer of at most 64 bits represents each value of a type exactly."""
    if dtype.is_integer():
        return dtype not in (pl.Int128, pl.UInt128)
    return isinstance(dtype, _EXACT)


def key_codes(names: Sequence[str], schema: dict[str, pl.DataType]) -> list[pl.Expr]:
    """Return the code of a key: its columns as integers, or one hash; null if the key has a null."""
    if len(names) <= 2 and all(is_exact(schema[name]) for name in names):
        return [pl.col(name).to_physical() for name in names]
    mixed = pl.lit(0, dtype=pl.UInt64)
    for name in names:
        value = pl.col(name)
        # Category codes depend on the order of the data, so hash the text.
        value = value.cast(pl.String) if isinstance(schema[name], pl.Categorical) else value
        mixed = mixed * pl.lit(_MIX, dtype=pl.UInt64) + value.hash()
    return [mixed]


def possible_duplicates(columns: Sequence[pl.Series], among: pl.Series) -> Codes:
    """Return the numbers of the rows in `among` whose codes occur more than once in the columns."""
    if among.len() < 2:
        return np.empty(0, dtype=np.int64)
    plain = [_numbers(column) for column in columns]
    codes = _pack(plain)
    if codes is None:
        # The ranges don't fit into one integer; collisions don't matter, as callers compare values.
        codes = _mix(plain)
    found = _find_repeats(codes)
    if found is None:
        return np.empty(0, dtype=np.int64)
    # Most keys are unique among all rows: filtering first would cost more than it saves.
    return np.flatnonzero(found & among.to_numpy())


def _numbers(column: pl.Series) -> Codes:
    if column.dtype == pl.Boolean:
        column = column.cast(pl.UInt8)
    # Rows with a null aren't in `among`; NumPy has no null.
    return (column.fill_null(0) if column.null_count() else column).to_numpy()


def _pack(columns: Sequence[Codes]) -> Codes | None:
    """Pack columns into one integer per row; None if their ranges together need more than 64 bits."""
    if len(columns) == 1:
        return columns[0]
    spans = [(int(column.min()), int(column.max())) for column in columns]
    if prod(most - least + 1 for least, most in spans) >= _PACKED:
        return None
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for column, (least, most) in zip(columns, spans, strict=True):
        packed *= most - least + 1
        packed += (column - column.dtype.type(least)).astype(np.int64)
    return packed


def _mix(columns: Sequence[Codes]) -> Codes:
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed *= np.uint64(_MIX)
        mixed += column.astype(np.uint64)
    return mixed


def _find_repeats(codes: Codes) -> Codes | None:
    """Mark the codes that occur more than once; None if none do."""
    least, most = int(codes.min()), int(codes.max())
    if most - least < _SPARSE * len(codes):
        return _by_bitmap(codes, least, most)
    return _by_hashing(codes)


def _by_bitmap(codes: Codes, least: int, most: int) -> Codes | None:
    repeated: Codes | None = None
    for start in range(least, most + 1, _SEGMENT):
        inside = (
            None
            if most - least < _SEGMENT
            else np.flatnonzero((codes >= start) & (codes < start + _SEGMENT))
        )
        places = _offsets(codes if inside is None else codes[inside], start)
        seen = np.zeros(min(_SEGMENT, most - start + 1), dtype=bool)
        seen[places] = True
        if np.count_nonzero(seen) == len(places):
            continue
        if repeated is None:
            repeated = np.zeros(len(codes), dtype=bool)
        repeats = np.bincount(places, minlength=len(seen))[places] > 1
        repeated[slice(None) if inside is None else inside] = repeats
    return repeated


def _offsets(codes: Codes, start: int) -> Codes:
    """The distance of codes from `start`, as indices."""
    if codes.dtype == np.uint64:
        return (codes - np.uint64(start)).astype(np.int64)
    wide = codes.astype(np.int64, copy=False)
    return wide - start if start else wide


def _by_hashing(codes: Codes) -> Codes | None:
    """Find repeated codes with a hash table of tags.

    Equal codes have the same place and the same tag. Rows that find another row's tag in their place
    are compared with each other. The other rows are all different if they are as many as the used
    places.
    """
    bits = max(8, (8 * len(codes)).bit_length())
    table = np.zeros(1 << bits, dtype=np.uint8)
    for places, tags, _ in _tags(codes, bits):
        table[places] = tags
    found = np.empty(len(codes), dtype=bool)
    for places, tags, rows in _tags(codes, bits):
        found[rows] = table[places] == tags
    if np.count_nonzero(found) > np.count_nonzero(table):
        return _duplicates(codes)
    others = np.flatnonzero(~found)
    repeats = _duplicates(codes[others])
    if repeats is None:
        return None
    repeated = np.zeros(len(codes), dtype=bool)
    repeated[others] = repeats
    return repeated


def _tags(codes: Codes, bits: int) -> Iterator[tuple[Codes, Codes, slice]]:
    """Yield, for a stride of rows at a time, their places in a table of 2^bits and tags that are never 0."""
    for start in range(0, len(codes), _STRIDE):
        rows = slice(start, start + _STRIDE)
        mixed = codes[rows].astype(np.uint64) * np.uint64(_MIX)
        places = (mixed >> np.uint64(64 - bits)).astype(np.intp)
        yield places, ((mixed >> np.uint64(56 - bits)) | np.uint64(1)).astype(np.uint8), rows


def _duplicates(codes: Codes) -> Codes | None:
    found = pl.Series(codes).is_duplicated()
    return found.to_numpy() if found.any() else None
