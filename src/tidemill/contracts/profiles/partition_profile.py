"""Profile the rows of partitions once, then merge and compare the profiles without the rows.

Equal columns have equal profiles, byte for byte. Merging gives the profile of all rows together: exactly for
counts, extremes, sketches and histograms on the same grid, up to rounding for moments, and up to `missed` for
categories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from tidemill.contracts.profiles.distance import distance
from tidemill.contracts.profiles.distinct_sketch import merge_sketches, sketch_of
from tidemill.contracts.profiles.histogram import merge_histograms
from tidemill.contracts.profiles.numeric_columns import is_numeric, numeric_profiles
from tidemill.contracts.profiles.record import (
    Categories,
    ColumnProfile,
    Distance,
    Grid,
    Histogram,
    Profile,
    Scalar,
)
from tidemill.contracts.profiles.text_columns import (
    binary_profile,
    boolean_profile,
    hashes_of,
    list_profile,
    text_profile,
)


def profile_frame(frame: pl.DataFrame, grids: Mapping[str, Grid] | None = None) -> Profile:
    """Profile all columns of a frame; a column without a given grid gets one for its values."""
    known = grids or {}
    series = frame.get_columns()
    columns = profile_columns([(column, known.get(column.name)) for column in series])
    return Profile(rows=frame.height, columns=tuple(columns))


def profile_columns(wanted: Sequence[tuple[pl.Series, Grid | None]]) -> list[ColumnProfile]:
    """Profile columns, which may be of different frames."""
    numeric = [n for n, (series, _) in enumerate(wanted) if is_numeric(series.dtype)]
    parts = dict(zip(numeric, numeric_profiles([wanted[n] for n in numeric]), strict=True))
    return [
        _column(series, parts[n] if n in parts else _other(series))
        for n, (series, _) in enumerate(wanted)
    ]


def merge_profiles(profiles: Sequence[Profile]) -> Profile:
    """Merge the profiles of partitions, at least one.

    A column is merged from the parts that have it. Histograms use the grid of the first part that has one;
    from another grid they are moved bin by bin, which increases `blur`.
    """
    parts: dict[str, list[ColumnProfile]] = {}
    for profile in profiles:
        for column in profile.columns:
            parts.setdefault(column.name, []).append(column)
    return Profile(
        rows=sum(profile.rows for profile in profiles),
        columns=tuple(map(_merge_columns, parts.values())),
    )


def compare_profiles(old: Profile, new: Profile) -> tuple[Distance, ...]:
    """Compare the columns that both profiles have, in the order of the new profile.

    Histograms on different grids are compared as they are; `ks_error` then covers the error of both.
    """
    before = {column.name: column for column in old.columns}
    return tuple(
        distance(before[column.name], column) for column in new.columns if column.name in before
    )


def _column(series: pl.Series, parts: Mapping[str, Any]) -> ColumnProfile:
    dtype = series.dtype
    return ColumnProfile(
        name=series.name,
        # The contract already records the categories of an Enum.
        dtype="Enum" if isinstance(dtype, pl.Enum) else str(dtype),
        rows=series.len(),
        nulls=series.null_count(),
        **parts,
    )


def _other(series: pl.Series) -> Mapping[str, Any]:
    """Return the fields for a column that isn't numeric; for some types there are only counts."""
    profile = _OTHERS.get(series.dtype.base_type())
    return profile(series) if profile else {}


_OTHERS: Mapping[Any, Callable[[pl.Series], Mapping[str, Any]]] = {
    pl.Boolean: boolean_profile,
    pl.String: text_profile,
    pl.Enum: text_profile,
    pl.Categorical: text_profile,
    pl.Binary: binary_profile,
    pl.List: list_profile,
}


def _merge_columns(parts: Sequence[ColumnProfile]) -> ColumnProfile:
    last = parts[-1]
    filled = [part for part in parts if part.present_count]
    finite, mean, m2 = _merge_moments(filled)
    return ColumnProfile(
        name=last.name,
        dtype=last.dtype,
        rows=sum(part.rows for part in parts),
        nulls=sum(part.nulls for part in parts),
        nans=sum(part.nans for part in parts),
        least=_extreme(min, filled, [part.least for part in filled]),
        most=_extreme(max, filled, [part.most for part in filled]),
        finite=finite,
        mean=mean,
        m2=m2,
        sketch=_merge_column_sketches(filled),
        histogram=_merge_if_complete([part.histogram for part in filled]),
        categories=_merge_categories([part.categories for part in filled or parts]),
        lengths=_merge_if_complete([part.lengths for part in filled or parts]),
    )


def _merge_moments(parts: Iterable[ColumnProfile]) -> tuple[int, float, float]:
    """Merge counts, means and sums of squared deviations (Chan's formula)."""
    total, mean, m2 = 0, 0.0, 0.0
    for part in parts:
        if part.finite:
            step = part.mean - mean
            both = total + part.finite
            m2 += part.m2 + step * step * (total * part.finite / both)
            mean += step * (part.finite / both)
            total = both
    return total, mean, m2


def _extreme(
    choose: Any, parts: Sequence[ColumnProfile], ends: Sequence[Scalar | None]
) -> Scalar | None:
    """Return the minimum or maximum of the parts' extremes; None if one is missing or types differ."""
    kinds = {_kind(part.dtype, end) for part, end in zip(parts, ends, strict=True)}
    if len(kinds) != 1 or None in ends:
        return None
    found: Scalar = choose(ends, key=Decimal if kinds == {Decimal} else None)
    return found


def _kind(dtype: str, end: Scalar | None) -> type:
    if isinstance(end, str):
        return Decimal if dtype.startswith(("Decimal", "Int128", "UInt128")) else str
    return float


def _merge_column_sketches(parts: Sequence[ColumnProfile]) -> bytes:
    """Merge sketches; if some parts list their categories instead, hash these."""
    if not any(part.sketch for part in parts):
        return b""
    sketches = [part.sketch or _sketch_of_categories(part) for part in parts]
    return merge_sketches(sketches) if all(sketches) else b""


def _sketch_of_categories(column: ColumnProfile) -> bytes:
    if column.categories is None:
        return b""
    return sketch_of(hashes_of(pl.Series([*column.categories.counts], dtype=pl.String))[0])


def _merge_if_complete(parts: Sequence[Histogram | None]) -> Histogram | None:
    held = [part for part in parts if part is not None]
    return merge_histograms(held) if held and len(held) == len(parts) else None


def _merge_categories(parts: Sequence[Categories | None]) -> Categories | None:
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
