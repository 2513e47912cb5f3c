"""Turn a column as it came into the type that a contract says, without changing what it means.

A value that can't be turned into the type unchanged becomes null and is a violation of `X.type`:
1.5 is no integer, 2013-03-07 05:00 no day, "x" no number. What is a matter of opinion isn't turned
at all: numbers are no times, and a time without a zone is no moment. Text is read as ISO 8601
dates, times and moments. A double may be rounded to the nearest float. NaN in a column that is to
hold anything but floats is a missing value.
"""

from __future__ import annotations

import polars as pl

from tidemill.contracts.checks.schema import dtype_of

_TEXT = (pl.String, pl.Enum, pl.Categorical)
# Polars has no text for a length of time; bytes and objects have none of their own.
_TEXTLESS = (pl.Binary, pl.Object, pl.Duration)
_ISO: dict[type[pl.DataType], tuple[str, ...]] = {
    pl.Date: ("%Y-%m-%d",),
    pl.Time: ("%H:%M:%S%.f", "%H:%M"),
    pl.Datetime: ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"),
}
_ISO_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")


def fit(series: pl.Series, dtype: pl.DataType) -> tuple[pl.Series, pl.Series]:
    """`series` with its missing values as null, and as `dtype`, null where a value can't be."""
    if series.dtype == dtype:
        return series, series
    if series.dtype.is_float() and not dtype.is_float():
        series = series.fill_nan(None)
    if dtype_of(dtype).holds(dtype_of(series.dtype)):
        return series, series.cast(dtype)
    if isinstance(series.dtype, _TEXT):
        return series, _from_text(series.cast(pl.String), dtype)
    if isinstance(dtype, _TEXT):
        return series, _to_text(series, dtype)
    if _family(series.dtype) != _family(dtype):
        return series, _none(series, dtype)
    return series, _unchanged(series, dtype)


def _from_text(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, _TEXT) or dtype.is_numeric():
        return text.cast(dtype, strict=False)
    if isinstance(dtype, pl.Boolean):
        words = {"true": True, "false": False}
        return text.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if not isinstance(dtype, (pl.Date, pl.Time, pl.Datetime)):
        return _none(text, dtype)
    formats = _ISO[type(dtype)]
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        formats = _ISO_ZONED
    read = [pl.col("").str.strptime(dtype, form, strict=False) for form in formats]
    return text.alias("").to_frame().select(pl.coalesce(read)).to_series().alias(text.name)


def _to_text(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    if series.dtype.is_nested() or isinstance(series.dtype, _TEXTLESS):
        return _none(series, dtype)
    return series.cast(pl.String).cast(dtype, strict=False)


def _family(dtype: pl.DataType) -> str:
    """Types of one family have values in common; other pairs mean different things."""
    if dtype.is_numeric() or isinstance(dtype, pl.Boolean):
        return "number"
    if isinstance(dtype, pl.Datetime):
        return "moment" if dtype.time_zone else "Date"
    return type(dtype).__name__


def _unchanged(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The values that are the same when they are turned back."""
    if series.dtype.is_nested() or {type(series.dtype), type(dtype)} == {pl.Boolean, pl.Decimal}:
        return _none(series, dtype)
    there = series.cast(dtype, strict=False)
    if series.dtype.is_float() and dtype.is_float():
        same = there.is_finite() | ~series.is_finite()
    else:
        same = there.cast(series.dtype, strict=False) == series
    return there.zip_with(same.fill_null(False), _none(series, dtype))


def _none(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(series.name, [None], dtype=dtype).new_from_index(0, series.len())
