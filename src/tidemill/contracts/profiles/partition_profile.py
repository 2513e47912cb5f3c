"""Profiles of partitions: made from the rows once, then merged and compared without them.

Equal columns have equal profiles, byte for byte. What is merged is what the whole would have given:
counts, extremes, sketches and histograms on one grid exactly, moments up to rounding, categories up to
what `missed` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from tidemill.contracts.profiles.distance import distance
from tidemill.contracts.profiles.distinct_sketch import merge_sketches, sketch_of
from tidemill.contracts.profiles.histogram import merge_histograms
from tidemill.contracts.profiles.numeric_columns import is_numeric, numbers_of
from tidemill.contracts.profiles.record import (
    Categories,
    ColumnProfile,
    Distance,
    Grid,
    Histogram,
    Profile,
    Scalar,
)
from tidemill.contracts.profiles.text_columns import binaries, booleans, hashes_of, lists, texts


def profile_of(frame: pl.DataFrame, grids: Mapping[str, Grid] | None = None) -> Profile:
    """The profile of all columns; one that has no grid gets that of its own values."""
    known = grids or {}
    series = frame.get_columns()
    columns = columns_of([(column, known.get(column.name)) for column in series])
    return Profile(rows=frame.height, columns=tuple(columns))


def columns_of(wanted: Sequence[tuple[pl.Series, Grid | None]]) -> list[ColumnProfile]:
    """The profiles of columns, which may be of many frames."""
    numeric = [n for n, (series, _) in enumerate(wanted) if is_numeric(series.dtype)]
    parts = dict(zip(numeric, numbers_of([wanted[n] for n in numeric]), strict=True))
    return [
        _column(series, parts[n] if n in parts else _other(series))
        for n, (series, _) in enumerate(wanted)
    ]


def merge(profiles: Sequence[Profile]) -> Profile:
    """The profile of the rows of all partitions together; at least one is given.

    Columns that some parts lack are merged of those that have them. Histograms go to the grid of the
    first part that has one; from another grid they are moved bin by bin, which `blur` tells.
    """
    parts: dict[str, list[ColumnProfile]] = {}
    for profile in profiles:
        for column in profile.columns:
            parts.setdefault(column.name, []).append(column)
    return Profile(
        rows=sum(profile.rows for profile in profiles),
        columns=tuple(map(_merged, parts.values())),
    )


def compare(old: Profile, new: Profile) -> tuple[Distance, ...]:
    """How far each column that both have is from what it was, in the order of the new ones.

    Two grids are compared as they are; then the error that `ks_error` tells is that of both.
    """
    before = {column.name: column for column in old.columns}
    return tuple(
        distance(before[column.name], column) for column in new.columns if column.name in before
    )


def _column(series: pl.Series, parts: Mapping[str, Any]) -> ColumnProfile:
    dtype = series.dtype
    return ColumnProfile(
        name=series.name,
        # The categories of an Enum are its contract's matter.
        dtype="Enum" if isinstance(dtype, pl.Enum) else str(dtype),
        rows=series.len(),
        nulls=series.null_count(),
        **parts,
    )


def _other(series: pl.Series) -> Mapping[str, Any]:
    """What is told of values that are no numbers; of some types only how many there are."""
    tell = _OTHERS.get(series.dtype.base_type())
    return tell(series) if tell else {}


_OTHERS: Mapping[Any, Callable[[pl.Series], Mapping[str, Any]]] = {
    pl.Boolean: booleans,
    pl.String: texts,
    pl.Enum: texts,
    pl.Categorical: texts,
    pl.Binary: binaries,
    pl.List: lists,
}


def _merged(parts: Sequence[ColumnProfile]) -> ColumnProfile:
    last = parts[-1]
    filled = [part for part in parts if part.present]
    finite, mean, m2 = _moments(filled)
    return ColumnProfile(
        name=last.name,
        dtype=last.dtype,
        rows=sum(part.rows for part in parts),
        nulls=sum(part.nulls for part in parts),
        nans=sum(part.nans for part in parts),
        least=_end(min, filled, [part.least for part in filled]),
        most=_end(max, filled, [part.most for part in filled]),
        finite=finite,
        mean=mean,
        m2=m2,
        sketch=_merged_sketch(filled),
        histogram=_merged_histogram([part.histogram for part in filled]),
        categories=_merged_categories([part.categories for part in filled or parts]),
        lengths=_merged_histogram([part.lengths for part in filled or parts]),
    )


def _moments(parts: Iterable[ColumnProfile]) -> tuple[int, float, float]:
    """Number, mean and squared deviations of the values of all parts (Chan's formula)."""
    total, mean, m2 = 0, 0.0, 0.0
    for part in parts:
        if part.finite:
            apart = part.mean - mean
            both = total + part.finite
            m2 += part.m2 + apart * apart * (total * part.finite / both)
            mean += apart * (part.finite / both)
            total = both
    return total, mean, m2


def _end(
    choose: Any, parts: Sequence[ColumnProfile], ends: Sequence[Scalar | None]
) -> Scalar | None:
    """The outermost of the parts' ends; None when one has none, or they are of several types."""
    kinds = {_kind(part.dtype, end) for part, end in zip(parts, ends, strict=True)}
    if len(kinds) != 1 or None in ends:
        return None
    found: Scalar = choose(ends, key=Decimal if kinds == {Decimal} else None)
    return found


def _kind(dtype: str, end: Scalar | None) -> type:
    if isinstance(end, str):
        return Decimal if dtype.startswith(("Decimal", "Int128", "UInt128")) else str
    return float


def _merged_sketch(parts: Sequence[ColumnProfile]) -> bytes:
    """Where one part lists its categories, and another has more than it can list, those are hashed."""
    if not any(part.sketch for part in parts):
        return b""
    sketches = [part.sketch or _sketch_of_categories(part) for part in parts]
    return merge_sketches(sketches) if all(sketches) else b""


def _sketch_of_categories(column: ColumnProfile) -> bytes:
    if column.categories is None:
        return b""
    return sketch_of(hashes_of(pl.Series([*column.categories.counts], dtype=pl.String))[0])


def _merged_histogram(parts: Sequence[Histogram | None]) -> Histogram | None:
    held = [part for part in parts if part is not None]
    return merge_histograms(held) if held and len(held) == len(parts) else None


def _merged_categories(parts: Sequence[Categories | None]) -> Categories | None:
    held = [part for part in parts if part is not None]
    if not held or len(held) < len(parts):
        return None
    counts: dict[str, int] = {}
    for part in held:
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Categories(
        counts=dict(ordered),
        others=sum(part.others for part in held),
        missed=sum(part.missed for part in held),
    )
