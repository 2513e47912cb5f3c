"""Cast a column of input data to the type of its contract, without changing the meaning of values.

A value that can't be cast unchanged becomes null and violates `X.type`: 1.5 isn't an integer,
2013-03-07 05:00 isn't a day, "x" isn't a number. Ambiguous casts aren't done at all: numbers don't
become times, and a time without a zone doesn't become one with a zone. Text is read as its format says;
without one, as ISO 8601 dates, times and timestamps. A double may be rounded to the nearest float. NaN
counts as missing if the column's type isn't a float.
"""

from __future__ import annotations

from math import nextafter

import polars as pl

from tidemill.contracts.checks.schema import TEXT_TYPES, dtype_of
from tidemill.contracts.checks.text_cells import nulls_of, read_text
from tidemill.contracts.text_format import AS_STORED, TextFormat

# Polars doesn't format durations as text; bytes and objects have no canonical text.
_TEXTLESS = (pl.Binary, pl.Object, pl.Duration)


def cast_column(
    series: pl.Series, dtype: pl.DataType, text: TextFormat = AS_STORED
) -> tuple[pl.Series, pl.Series]:
    """Return `series` with missing values as null, and its cast to `dtype`, null where the cast fails.

    `text` says how its text is read, if it holds text.
    """
    if text is not AS_STORED and isinstance(series.dtype, TEXT_TYPES):
        held = series if series.dtype == pl.String else series.cast(pl.String)
        return read_text(held, dtype, text)
    if series.dtype == dtype:
        return series, series
    if series.dtype.is_float() and not dtype.is_float():
        series = series.fill_nan(None)
    if dtype_of(dtype).includes(dtype_of(series.dtype)):
        return series, series.cast(dtype)
    if isinstance(series.dtype, TEXT_TYPES):
        return series, read_text(series.cast(pl.String), dtype, AS_STORED)[1]
    if isinstance(dtype, TEXT_TYPES):
        return series, _to_text(series, dtype)
    if _family(series.dtype) != _family(dtype):
        return series, nulls_of(series, dtype)
    return series, _lossless(series, dtype)


def has_value(series: pl.Series) -> pl.Series:
    """Mark the values that aren't missing: not null and, in a float column, not NaN."""
    present = series.is_not_null()
    return present & series.is_not_nan().fill_null(False) if series.dtype.is_float() else present


def _to_text(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    if series.dtype.is_nested() or isinstance(series.dtype, _TEXTLESS):
        return nulls_of(series, dtype)
    return series.cast(pl.String).cast(dtype, strict=False)


def _family(dtype: pl.DataType) -> str:
    """Name the family of a type; only values of the same family can be cast."""
    if dtype.is_numeric() or isinstance(dtype, pl.Boolean):
        return "number"
    if isinstance(dtype, pl.Datetime):
        return "moment" if dtype.time_zone else "Date"
    return type(dtype).__name__


def _lossless(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Cast the values that survive a cast there and back; others become null."""
    if series.dtype.is_nested() or {type(series.dtype), type(dtype)} == {pl.Boolean, pl.Decimal}:
        return nulls_of(series, dtype)
    if series.dtype.is_float() and isinstance(dtype, pl.Decimal):
        series = _within(series, dtype)
    cast = series.cast(dtype, strict=False)
    if series.dtype.is_float() and dtype.is_float():
        same = cast.is_finite() | ~series.is_finite()
    else:
        same = cast.cast(series.dtype, strict=False) == series
    return cast.zip_with(same.fill_null(False), nulls_of(series, dtype))


def _within(series: pl.Series, dtype: pl.Decimal) -> pl.Series:
    """Leave out floats with more digits than a decimal type holds: Polars raises for them."""
    # The greatest double below the limit may be rounded to it.
    limit = nextafter(10.0 ** (dtype.precision - dtype.scale), 0)
    most = (10.0**dtype.precision - 1) / 10.0**dtype.scale
    inside = ((series.abs() <= most) & (series.abs() < limit)).fill_null(False)
    return series.zip_with(inside, nulls_of(series, series.dtype))
