"""Take what the console shows of a column from its profile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from tidemill.console.column_figures import ColumnFigures, Quantile, ValueCount, ValueShares
from tidemill.contracts.profiles.column_shares import ColumnShares, column_shares
from tidemill.contracts.profiles.histogram import quantile
from tidemill.contracts.profiles.record import Categories, ColumnProfile, Scalar

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_TOP = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIXED = {"Date": 86_400.0, "Time": 1e-9}
_UNITS = {"ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def figures_of(
    column: ColumnProfile, personal: str = "", *, is_hidden: bool = False
) -> ColumnFigures:
    """The statistics of a column; without its values if it `is_hidden`."""
    if is_hidden:
        return ColumnFigures(
            name=column.name,
            type=column.dtype,
            personal=personal,
            is_hidden=True,
            rows=column.rows,
            missing=column.missing_count,
            nans=column.nans,
            distinct=column.distinct,
            is_estimated=not column.is_exact,
            least=None,
            most=None,
            mean=None,
            deviation=None,
        )
    listed = column.categories or Categories(counts={})
    total = sum(listed.counts.values()) + listed.others
    is_number = bool(column.finite) and _seconds(column.dtype) == 0.0
    return ColumnFigures(
        name=column.name,
        type=column.dtype,
        personal=personal,
        rows=column.rows,
        missing=column.missing_count,
        nans=column.nans,
        distinct=column.distinct,
        is_estimated=not column.is_exact,
        least=_text(column.least, column.dtype),
        most=_text(column.most, column.dtype),
        mean=column.mean if is_number else None,
        deviation=math.sqrt(column.variance) if is_number and column.variance is not None else None,
        quantiles=_quantiles(column),
        top=tuple(
            ValueCount(value=value, count=count, share=count / total)
            for value, count in islice(listed.counts.items(), _TOP)
        ),
        others=total - sum(islice(listed.counts.values(), _TOP)),
        shares=shares_of(column_shares(column, column), column, is_alone=True),
    )


def shares_of(found: ColumnShares, column: ColumnProfile, *, is_alone: bool = False) -> ValueShares:
    """The shares of a column's values, with times in seconds; `is_alone` compares with nothing."""
    factor, measure = _seconds(column.dtype), "number"
    if factor and not column.dtype.startswith(("Duration", "Time")):
        measure = "day" if column.dtype == "Date" else "time"
    if found.edges and column.histogram is None:
        factor, measure = 1.0, "length"
    if len(found.edges) == 2 and found.edges[0] == found.edges[1]:
        only = _only_value(found.edges[0], column, measure)
        return ValueShares(then=() if is_alone else found.then, now=found.now, names=(only,))
    return ValueShares(
        then=() if is_alone else found.then,
        now=found.now,
        edges=tuple(edge * (factor or 1.0) for edge in found.edges),
        names=found.names,
        measure=measure,
        beyond="" if measure == "length" else _beyond(found.edges, column),
    )


def _beyond(edges: Sequence[float], column: ColumnProfile) -> str:
    """Which bars at the ends have values from beyond their edges, by more than a bar is wide."""
    if not edges or isinstance(column.least, str) or isinstance(column.most, str):
        return ""
    # Bins are a little off: what is beyond by less isn't worth a word.
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    has_less = column.least is not None and column.least < edges[0] - width
    has_more = column.most is not None and column.most > edges[-1] + width
    if has_less and has_more:
        return "the bars at the ends have all beyond them"
    if has_more:
        return "the last bar has all above it"
    return "the first bar has all below it" if has_less else ""


def _only_value(middle: float, column: ColumnProfile, measure: str) -> str:
    """The only value of a column, or the only length, of which the middle of its bin is known."""
    if measure == "length":
        return f"length {round(middle):,}"
    value = column.least if column.least == column.most else _as_held(middle, column)
    return _text(value, column.dtype) or ""


def _quantiles(column: ColumnProfile) -> tuple[Quantile, ...]:
    if column.histogram is None or not column.histogram.size:
        return ()
    found = ((share, quantile(column.histogram, share)) for share in _QUANTILES)
    return tuple(
        Quantile(share=share, value=_text(_as_held(value, column), column.dtype) or "")
        for share, value in found
        if value is not None
    )


def _as_held(value: float, column: ColumnProfile) -> Scalar:
    """A quantile, which is the middle of a bin, as a value that the column can have."""
    if isinstance(column.least, int | float) and isinstance(column.most, int | float):
        value = min(max(value, column.least), column.most)
    is_whole = isinstance(column.least, int) and math.isfinite(value)
    return round(value) if is_whole else value


def _text(value: Scalar | None, dtype: str) -> str | None:
    """A value as text; times are numbers in profiles."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    factor = _seconds(dtype)
    if not factor:
        return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    if dtype.startswith(("Duration", "Time")):
        return str(timedelta(seconds=value * factor))
    try:
        at = _EPOCH + timedelta(seconds=value * factor)
    except OverflowError:
        return f"{value:,}"
    return (
        str(date(at.year, at.month, at.day)) if dtype == "Date" else f"{at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _seconds(dtype: str) -> float:
    """The seconds of a unit of a column of dates, times or durations; 0 for others."""
    if dtype in _FIXED:
        return _FIXED[dtype]
    if not dtype.startswith(("Datetime", "Duration")):
        return 0.0
    return next((factor for unit, factor in _UNITS.items() if f"'{unit}'" in dtype), 1e-6)
