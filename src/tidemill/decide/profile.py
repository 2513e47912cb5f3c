"""Profiles of partitions: made from the rows once, then merged and compared without them.

Equal columns have equal profiles, byte for byte. What is merged is what the whole would have given:
counts, extremes, sketches and histograms on one grid exactly, moments up to rounding, categories up to
what `missed` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from tidemill.decide.distance import distance
from tidemill.decide.histogram import (
    LENGTHS,
    Floats,
    grid_of,
    histogram_of,
    merge_histograms,
)
from tidemill.decide.sketch import hashes_of, merge_sketches, mixed, sketch_of
from tidemill.domain.profile import (
    Categories,
    ColumnProfile,
    Distance,
    Grid,
    Histogram,
    Profile,
    Scalar,
)

# So many categories are listed, and none that is longer than this many characters.
LISTED = 32
TEXT = 100

_EXACT_FLOATS = 2**53


def profile_of(frame: pl.DataFrame, grids: Mapping[str, Grid] | None = None) -> Profile:
    """The profile of all columns; a column without a grid gets the one of its own values."""
    known = grids or {}
    columns = tuple(_column(series, known.get(series.name)) for series in frame.get_columns())
    return Profile(rows=frame.height, columns=columns)


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


def _column(series: pl.Series, grid: Grid | None) -> ColumnProfile:
    found: dict[str, Any] = {
        "name": series.name,
        "dtype": "Enum" if isinstance(series.dtype, pl.Enum) else str(series.dtype),
        "rows": series.len(),
        "nulls": series.null_count(),
    }
    dtype = series.dtype
    values = series.drop_nulls()
    if dtype.is_float():
        return ColumnProfile(**found, **_floats(values, grid))
    if dtype.is_numeric() or dtype.is_temporal():
        return ColumnProfile(**found, **_numbers(values, grid))
    if isinstance(dtype, (pl.Boolean, pl.Categorical, pl.Enum, pl.String)):
        return ColumnProfile(**found, **_texts(values))
    if isinstance(dtype, pl.Binary):
        lengths = values.bin.size().to_numpy()
        return ColumnProfile(
            **found,
            sketch=sketch_of(hashes_of(values.unique().to_list())),
            lengths=_lengths(lengths),
        )
    if isinstance(dtype, pl.List):
        return ColumnProfile(**found, lengths=_lengths(values.list.len().to_numpy()))
    return ColumnProfile(**found)


def _floats(values: pl.Series, grid: Grid | None) -> dict[str, Any]:
    whole = values.cast(pl.Float64).to_numpy()
    missing = np.isnan(whole)
    nans = int(np.count_nonzero(missing))
    # -0.0 and 0.0 are one value.
    present = whole[~missing] + 0.0
    found = _spread(present, present.view(np.uint64), grid)
    if present.size:
        found |= {"least": float(present.min()), "most": float(present.max())}
    return {"nans": nans, **found}


def _numbers(values: pl.Series, grid: Grid | None) -> dict[str, Any]:
    plain = values.to_physical() if values.dtype.is_temporal() else values
    exact = plain.dtype in (pl.Decimal, pl.Int128, pl.UInt128)
    whole = (plain.cast(pl.Float64) if exact else plain).to_numpy()
    floats = whole.astype(np.float64) + 0.0
    found = _spread(floats, _bits(whole, floats), grid, whole)
    if len(plain):
        ends: tuple[Any, Any] = (plain.min(), plain.max())
        least, most = map(str, ends) if exact else map(int, ends)
        found |= {"least": least, "most": most}
    return found


def _bits(whole: Any, floats: Floats) -> Any:
    """What tells values apart: their floats, and where those are too coarse the integers."""
    bits = floats.view(np.uint64)
    if whole.dtype.kind not in "iu":
        return bits
    large = np.abs(floats) >= _EXACT_FLOATS
    if large.any():
        # A number that no float of this size looks like.
        wide = whole.astype(np.int64 if whole.dtype.kind == "i" else np.uint64).view(np.uint64)
        bits = np.where(large, ~wide, bits)
    return bits


def _spread(floats: Floats, bits: Any, grid: Grid | None, whole: Any = None) -> dict[str, Any]:
    """What numbers have besides their extremes."""
    sketch = sketch_of(mixed(bits))
    grid = grid or grid_of(floats)
    if grid is None:
        return {"sketch": sketch}
    histogram = histogram_of(floats, grid)
    finite = floats[np.isfinite(floats)]
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(finite.mean()) if finite.size else 0.0
        m2 = float(((finite - mean) ** 2).sum())
    return {
        "sketch": sketch,
        "histogram": histogram,
        "finite": int(finite.size),
        "mean": mean,
        "m2": m2,
    }


def _texts(values: pl.Series) -> dict[str, Any]:
    plain = values.cast(pl.String)
    counted = plain.value_counts(name="\0count")
    names = counted.to_series(0)
    found: dict[str, Any] = {
        "sketch": sketch_of(hashes_of(names.cast(pl.Binary).to_list())),
        "categories": _categories(counted),
    }
    if values.dtype == pl.String:
        found["lengths"] = _lengths(plain.str.len_bytes().to_numpy())
    if names.len():
        ends = (str(names.min()), str(names.max()))
        found |= {"least": ends[0][:TEXT], "most": ends[1][:TEXT]}
    return found


def _categories(counted: pl.DataFrame) -> Categories:
    """The categories that are more frequent than all that aren't listed."""
    name, count = counted.columns
    short = pl.col(name).str.len_chars() <= TEXT
    listed = counted.filter(short).sort(count, name, descending=[True, False])
    missed = max(
        _greatest(listed[LISTED:].get_column(count)),
        _greatest(counted.filter(~short).get_column(count)),
    )
    kept = listed[:LISTED].filter(pl.col(count) > missed)
    counts = dict(kept.iter_rows())
    return Categories(
        counts=counts,
        others=int(counted.get_column(count).sum()) - sum(counts.values()),
        missed=missed,
    )


def _greatest(counts: pl.Series) -> int:
    most: Any = counts.max()
    return int(most or 0)


def _lengths(lengths: Any) -> Histogram:
    return histogram_of(lengths.astype(np.float64), LENGTHS)


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
        sketch=merge_sketches([part.sketch for part in parts if part.sketch]),
        histogram=_histogram([part.histogram for part in filled]),
        categories=_merged_categories([part.categories for part in parts]),
        lengths=_histogram([part.lengths for part in parts]),
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


def _histogram(parts: Sequence[Histogram | None]) -> Histogram | None:
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
