"""Profile columns of numbers and times: as floats in blocks, with extremes in their own type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from tidemill.contracts.profiles.numeric_block import (
    EXACT_FLOATS,
    ColumnStatistics,
    Numbers,
    column_statistics,
)
from tidemill.contracts.profiles.record import Grid, Scalar

# Types whose values don't fit into 64 bits: their extremes are stored as text.
_WIDE = (pl.Decimal, pl.Int128, pl.UInt128)
_LARGE = (pl.Int64, pl.UInt64, pl.Datetime, pl.Duration)


def is_numeric(dtype: pl.DataType) -> bool:
    """Whether a column of this type has a histogram."""
    return dtype.is_numeric() or dtype.is_temporal()


def numeric_profiles(wanted: Sequence[tuple[pl.Series, Grid | None]]) -> list[dict[str, Any]]:
    """Return the fields of the profiles of columns, on the given grids or on ones of their own."""
    numbers = [_numbers(series) for series, _ in wanted]
    found = column_statistics(numbers, [grid for _, grid in wanted])
    return [
        _parts(series, held, spread)
        for (series, _), held, spread in zip(wanted, numbers, found, strict=True)
    ]


def _numbers(series: pl.Series) -> Numbers:
    dtype = series.dtype
    if isinstance(dtype, _WIDE):
        series = series.cast(pl.Float64)
    elif isinstance(dtype, pl.Time):
        series = series.to_physical()
    values = series.to_numpy()
    if values.dtype.kind in "mM":
        return _times(values)
    if isinstance(dtype, _LARGE) and _is_large(series.min(), series.max()):
        integers = (series.fill_null(0) if series.null_count() else series).to_numpy()
        return Numbers(values, integers)
    return Numbers(values)


def _is_large(least: Any, most: Any) -> bool:
    return least is not None and max(-least, most) >= EXACT_FLOATS


def _times(values: Any) -> Numbers:
    integers = values.view(np.int64) if values.dtype.itemsize == 8 else values.astype(np.int64)
    floats = integers.astype(np.float64)
    missing = np.isnat(values)
    if missing.any():
        floats[missing] = np.nan
    large = bool((np.abs(floats) >= EXACT_FLOATS).any())
    return Numbers(floats, integers if large else None)


def _parts(series: pl.Series, held: Numbers, spread: ColumnStatistics) -> dict[str, Any]:
    least, most = _extremes(series, held, spread)
    return {
        "nans": spread.missing - series.null_count(),
        "least": least,
        "most": most,
        "finite": spread.finite,
        "mean": spread.mean,
        "m2": spread.m2,
        "sketch": spread.sketch,
        "histogram": spread.histogram,
    }


def _extremes(
    series: pl.Series, held: Numbers, spread: ColumnStatistics
) -> tuple[Scalar | None, Scalar | None]:
    if spread.least != spread.least:
        return None, None
    if series.dtype.is_float():
        return spread.least, spread.most
    if isinstance(series.dtype, _WIDE):
        return str(series.min()), str(series.max())
    if held.integers is not None:
        present = held.integers[~np.isnan(held.floats)] if series.null_count() else held.integers
        return int(present.min()), int(present.max())
    return int(spread.least), int(spread.most)
