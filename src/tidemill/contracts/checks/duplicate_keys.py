"""Which rows may repeat a key, told from one integer for each row, in the cheapest way that there is.

Integers, days, moments, booleans and enums are their own code; two of them side by side are packed into
one where their ranges fit. All others are told by a 64-bit hash. Codes that lie close together mark a
bitmap, others are spread over a table of tags. Equal keys always have equal codes, so a row whose code no
other row has repeats nothing; the few rows that are left are compared by their values, so that no hash
decides. Nothing here holds a set of all keys: a few bytes a row are the most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import polars as pl

Codes: TypeAlias = "np.ndarray[Any, Any]"

# A bitmap may have so many places for each row: the other way costs more than looking through it.
_SPARSE = 64
# Rows that are hashed together: what that takes stays in the processor's caches.
_STRIDE = 1 << 18
# Places of a bitmap (bytes) that are looked at together.
_SEGMENT = 1 << 26
_EXACT = (pl.Date, pl.Datetime, pl.Duration, pl.Time, pl.Boolean, pl.Enum)
_PACKED = 1 << 63
_MIX = 0x9E3779B97F4A7C15


def is_exact(dtype: pl.DataType) -> bool:
    """Whether a value is told by an integer of at most 64 bits."""
    if dtype.is_integer():
        return dtype not in (pl.Int128, pl.UInt128)
    return isinstance(dtype, _EXACT)


def code_of(names: Sequence[str], schema: dict[str, pl.DataType]) -> list[pl.Expr]:
    """What stands for the key in each row: its columns as integers, or one hash; null where it has none."""
    if len(names) <= 2 and all(is_exact(schema[name]) for name in names):
        return [pl.col(name).to_physical() for name in names]
    mixed = pl.lit(0, dtype=pl.UInt64)
    for name in names:
        value = pl.col(name)
        # Categories are numbered as they are met, and texts aren't.
        value = value.cast(pl.String) if isinstance(schema[name], pl.Categorical) else value
        mixed = mixed * pl.lit(_MIX, dtype=pl.UInt64) + value.hash()
    return [mixed]


def candidates(columns: Sequence[pl.Series], among: pl.Series) -> Codes:
    """The numbers of the rows, of those `among`, whose codes come more than once in the columns."""
    if among.len() < 2:
        return np.empty(0, dtype=np.int64)
    plain = [_numbers(column) for column in columns]
    codes = _packed(plain)
    if codes is None:
        # Their ranges don't fit into one number; what is left is compared by values anyway.
        codes = _mixed(plain)
    found = _repeated(codes)
    if found is None:
        return np.empty(0, dtype=np.int64)
    # Most keys are unique among all rows: leaving some out first would cost more than it spares.
    return np.flatnonzero(found & among.to_numpy())


def _numbers(column: pl.Series) -> Codes:
    if column.dtype == pl.Boolean:
        column = column.cast(pl.UInt8)
    # Rows with a null aren't among those that are looked at; numpy has no null.
    return (column.fill_null(0) if column.null_count() else column).to_numpy()


def _packed(columns: Sequence[Codes]) -> Codes | None:
    """One integer for each row; None where the ranges of the columns together need more than 64 bits."""
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


def _mixed(columns: Sequence[Codes]) -> Codes:
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        mixed *= np.uint64(_MIX)
        mixed += column.astype(np.uint64)
    return mixed


def _repeated(codes: Codes) -> Codes | None:
    """Which codes come more than once; None if none do."""
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
        places = _from(codes if inside is None else codes[inside], start)
        seen = np.zeros(min(_SEGMENT, most - start + 1), dtype=bool)
        seen[places] = True
        if np.count_nonzero(seen) == len(places):
            continue
        if repeated is None:
            repeated = np.zeros(len(codes), dtype=bool)
        again = np.bincount(places, minlength=len(seen))[places] > 1
        repeated[slice(None) if inside is None else inside] = again
    return repeated


def _from(codes: Codes, start: int) -> Codes:
    """How far codes are from `start`, as indices."""
    if codes.dtype == np.uint64:
        return (codes - np.uint64(start)).astype(np.int64)
    wide = codes.astype(np.int64, copy=False)
    return wide - start if start else wide


def _by_hashing(codes: Codes) -> Codes | None:
    """Spread the codes over a table of tags: what finds its own tag, alone in its place, is unique.

    Equal codes have one place and one tag. So the rows that find another's tag are compared among
    themselves, and those that find their own are all different if they are as many as the places.
    """
    bits = max(8, (8 * len(codes)).bit_length())
    table = np.zeros(1 << bits, dtype=np.uint8)
    for places, tags, _ in _tagged(codes, bits):
        table[places] = tags
    found = np.empty(len(codes), dtype=bool)
    for places, tags, rows in _tagged(codes, bits):
        found[rows] = table[places] == tags
    if np.count_nonzero(found) > np.count_nonzero(table):
        return _duplicated(codes)
    others = np.flatnonzero(~found)
    again = _duplicated(codes[others])
    if again is None:
        return None
    repeated = np.zeros(len(codes), dtype=bool)
    repeated[others] = again
    return repeated


def _tagged(codes: Codes, bits: int) -> Iterator[tuple[Codes, Codes, slice]]:
    """Of some rows after the other: the place in a table of 2^bits, and a tag that is never 0."""
    for start in range(0, len(codes), _STRIDE):
        rows = slice(start, start + _STRIDE)
        mixed = codes[rows].astype(np.uint64) * np.uint64(_MIX)
        places = (mixed >> np.uint64(64 - bits)).astype(np.intp)
        yield places, ((mixed >> np.uint64(56 - bits)) | np.uint64(1)).astype(np.uint8), rows


def _duplicated(codes: Codes) -> Codes | None:
    found = pl.Series(codes).is_duplicated()
    return found.to_numpy() if found.any() else None
