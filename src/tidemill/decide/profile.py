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

from tidemill.decide.distance import distance
from tidemill.decide.histogram import merge_histograms
from tidemill.decide.numeric import is_numeric, numbers_of
from tidemill.decide.sketch import distinct, merge_sketches, sketch_of
from tidemill.decide.texts import binaries, booleans, hashes_of, lists, texts
from tidemill.domain.profile import (
    Categories,
    ColumnProfile,
    Distance,
    Grid,
    Histogram,
    Profile,
    Scalar,
)


class Profiler:
    """Makes profiles of frames of one schema, one after the other."""

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._names = {
            name: "Enum" if isinstance(dtype, pl.Enum) else str(dtype)
            for name, dtype in schema.items()
        }
        self._numeric = {name for name, dtype in schema.items() if is_numeric(dtype)}
        self._others = {
            name: _OTHERS.get(dtype.base_type(), _counted) for name, dtype in schema.items()
        }

    def profile(
        self,
        frame: pl.DataFrame,
        grids: Mapping[str, Grid] | None = None,
        known: Mapping[str, ColumnProfile] | None = None,
    ) -> Profile:
        """The profile of all columns; one that has no grid gets that of its own values.

        `known` are profiles of some columns that were made before of the same values, on these grids.
        """
        known = known or {}
        columns = {
            series.name: series for series in frame.get_columns() if series.name not in known
        }
        found = dict(known)
        numeric = [series for name, series in columns.items() if name in self._numeric]
        for series, parts in zip(numeric, numbers_of(numeric, grids or {}), strict=True):
            found[series.name] = self._column(series, parts)
        for name, series in columns.items():
            if name not in found:
                found[name] = self._column(series, self._others[name](series))
        return Profile(rows=frame.height, columns=tuple(found[name] for name in frame.columns))

    def _column(self, series: pl.Series, parts: Mapping[str, Any]) -> ColumnProfile:
        name = series.name
        return ColumnProfile(
            name=name,
            dtype=self._names[name],
            rows=series.len(),
            nulls=series.null_count(),
            **parts,
        )


def profile_of(frame: pl.DataFrame, grids: Mapping[str, Grid] | None = None) -> Profile:
    """The profile of all columns; one that has no grid gets that of its own values."""
    return Profiler(frame.schema).profile(frame, grids)


def distinct_of(column: ColumnProfile) -> int | None:
    """The number of different values: exact while few, else off by 4.6 %; None for nested types."""
    if column.categories is not None and not column.categories.missed:
        return len(column.categories.counts)
    if column.sketch or not column.present:
        return distinct(column.sketch)
    return None


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


def _counted(series: pl.Series) -> dict[str, Any]:
    """Nothing but how many there are."""
    return {}


_OTHERS: Mapping[Any, Callable[[pl.Series], dict[str, Any]]] = {
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
