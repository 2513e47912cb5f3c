"""Read the text of cells as the values of a column, as its format says.

Every cell is read alone, so that neither its position nor the other cells change the result. A cell that
isn't a value of the type becomes null. Digits beyond those that the type holds make it another value: they
are refused, not rounded. Floats are the exception, which are the nearest ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from math import isfinite

import polars as pl

from tidemill.contracts.checks.json_cells import nested_values
from tidemill.contracts.checks.schema import TEXT_TYPES
from tidemill.contracts.text_format import (
    DAMAGED,
    NOT_UNICODE,
    SURPLUS_FIELDS,
    TextFormat,
    has_clock,
    has_offset,
)

_BLANKS = " \t\r\n"
_TRUE, _FALSE = ("true",), ("false",)
_ISO: Mapping[type[pl.DataType], tuple[str, ...]] = {
    pl.Date: ("%Y-%m-%d",),
    pl.Time: ("%H:%M:%S%.f", "%H:%M"),
    pl.Datetime: ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"),
}
_ISO_ZONED = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")
# The shorter forms of ISO 8601, which only text files may use.
_SHORT = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_SHORT_ZONED = ("%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z")
_DIGITS = {"ms": 3, "us": 6, "ns": 9}
# A number with the whole part of an integer, such as 12.00, and one with an exponent.
_WHOLE = r"^([+-]?[0-9]+)\.0*$"
_EXPONENT = r"^[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+$"
_WHOLE_NUMBERS = pl.Decimal(38, 0)


def read_text(text: pl.Series, dtype: pl.DataType, form: TextFormat) -> tuple[pl.Series, pl.Series]:
    """Return `text` with missing values as null, and its values, null where the text isn't one."""
    if isinstance(dtype, TEXT_TYPES):
        text = _without(text, form.null_values or ())
        if form.cells and (damaged := text.str.starts_with(DAMAGED)).any():
            return text, _null_where(text, damaged).cast(dtype, strict=False)
        return text, text if text.dtype == dtype else text.cast(dtype, strict=False)
    # Other words aren't values: they are found among the cells that can't be read.
    text = _without(text, _readable(form.null_values or (), dtype, form))
    values = _values(text, dtype, form)
    if values.null_count() == text.null_count() or not (form.cells or form.null_values):
        return text, values
    # Only the cells that can't be read are looked at again: most files have few of them.
    rows = (values.is_null() & text.is_not_null()).arg_true()
    cells = text.gather(rows)
    trimmed = cells.str.strip_chars(_BLANKS) if form.cells else cells
    missing = ("",) if form.cells else ()
    trimmed = _without(trimmed, (*missing, *(form.null_values or ())))
    gone = rows.filter(trimmed.is_null())
    source = text.clone().scatter(gone, None) if gone.len() else text
    return source, _put(values, rows, _loose_values(trimmed, dtype, form))


def without_marks(rows: pl.DataFrame) -> pl.DataFrame:
    """Remove the marks of damaged cells, so that rows are as they came."""
    text = pl.col(pl.String)
    marked = text.str.starts_with(SURPLUS_FIELDS) | text.str.starts_with(NOT_UNICODE)
    return rows.with_columns(
        pl.when(marked).then(text.str.slice(len(SURPLUS_FIELDS))).otherwise(text)
    )


def _put(values: pl.Series, rows: pl.Series, found: pl.Series) -> pl.Series:
    """Put the values that were found, by row number, among the others."""
    kept = found.is_not_null()
    if not kept.any():
        return values
    return values.clone().scatter(rows.filter(kept), found.filter(kept))


def _readable(words: Sequence[str], dtype: pl.DataType, form: TextFormat) -> tuple[str, ...]:
    """Return the words that are values as well, such as -999."""
    if not words:
        return ()
    values = _values(pl.Series(words, dtype=pl.String), dtype, form)
    return tuple(word for word, value in zip(words, values.is_not_null(), strict=True) if value)


def _without(text: pl.Series, words: Sequence[str]) -> pl.Series:
    return _null_where(text, text.is_in(pl.Series(words).implode())) if words else text


def _null_where(series: pl.Series, marked: pl.Series) -> pl.Series:
    return series.zip_with(~marked.fill_null(False), nulls_of(series, series.dtype))


def nulls_of(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return a column of nulls with the name and the length of another one."""
    return pl.Series(series.name, [None], dtype=dtype).new_from_index(0, series.len())


def _loose_values(text: pl.Series, dtype: pl.DataType, form: TextFormat) -> pl.Series:
    """Read text without blanks; a whole number may be written as an integer of a text file."""
    if not (form.cells and dtype.is_integer()):
        return _values(text, dtype, form)
    plain = _plain_numbers(text, form)
    values = plain.str.replace(_WHOLE, "$1").cast(dtype, strict=False)
    left = values.is_null() & plain.str.contains(_EXPONENT).fill_null(False)
    if not left.any():
        return values
    exact = [_decimal(cell, _WHOLE_NUMBERS) for cell in plain.filter(left)]
    whole = pl.Series(text.name, exact, dtype=pl.String).str.replace(_WHOLE, "$1")
    return _put(values, left.arg_true(), whole.cast(dtype, strict=False))


def _values(text: pl.Series, dtype: pl.DataType, form: TextFormat) -> pl.Series:
    match dtype:
        case pl.Decimal():
            return _decimals(_plain_numbers(text, form), dtype)
        case pl.Boolean():
            return _booleans(text, form)
        case pl.Date() | pl.Time() | pl.Datetime():
            return _times(text, dtype, form)
        case _ if dtype.is_float():
            return _floats(_plain_numbers(text, form), dtype)
        case _ if dtype.is_numeric():
            return _plain_numbers(text, form).cast(dtype, strict=False)
        case _ if dtype.is_nested() and form.cells == "json":
            return nested_values(text, dtype)
    return nulls_of(text, dtype)


def _plain_numbers(text: pl.Series, form: TextFormat) -> pl.Series:
    """Return numbers with a decimal point and without thousands separators; others become null."""
    if not (form.decimal_comma or form.thousands):
        return text
    point = "," if form.decimal_comma else r"\."
    digits = "[0-9]*"
    if form.thousands:
        gap = "[ \u00a0\u202f]" if form.thousands.isspace() else _escaped(form.thousands)
        digits = rf"(?:[0-9]*|[1-9][0-9]{{0,2}}(?:{gap}[0-9]{{3}})+)"
        plain = text.str.replace_all(gap, "")
    else:
        plain = text
    if form.decimal_comma:
        plain = plain.str.replace(",", ".", literal=True)
    number = rf"^[+-]?{digits}(?:{point}[0-9]*)?(?:[eE][+-]?[0-9]+)?$"
    words = r"^[+-]?(?i:nan|inf|infinity)$"
    return _null_where(plain, ~(text.str.contains(number) | text.str.contains(words)))


def _escaped(mark: str) -> str:
    return rf"\{mark}" if mark == "." else mark


def _floats(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Read floats; a number that is too large for the type becomes null, and not infinite."""
    values = text.cast(dtype, strict=False)
    if not has_infinity(values):
        return values
    return _null_where(values, values.is_infinite() & ~text.str.contains("[iI]"))


def has_infinity(values: pl.Series) -> bool:
    """Whether a column of floats has an infinite one."""
    # Their sum is computed ten times as fast; most often it is finite.
    return not isfinite(values.sum()) and bool(values.is_infinite().any())


def _decimals(text: pl.Series, dtype: pl.Decimal) -> pl.Series:
    """Read decimals; those with more digits than the type holds become null."""
    beyond = text.str.contains(rf"\.[0-9]{{{dtype.scale}}}[0-9]*[1-9]").fill_null(False)
    powers = text.str.contains("[eE]").fill_null(False)
    values = _null_where(text, beyond | powers).cast(dtype, strict=False)
    if not powers.any():
        return values
    exact = [_decimal(cell, dtype) for cell in _null_where(text, ~powers)]
    return values.zip_with(~powers, pl.Series(text.name, exact, dtype=pl.String).cast(dtype))


def _decimal(cell: str | None, dtype: pl.Decimal) -> str | None:
    """Return the digits of a number with an exponent; None if it is no value of the type."""
    try:
        number = Decimal(cell.replace("_", "x")) if cell is not None else None
    except InvalidOperation:
        return None
    if number is not None and number.is_zero():
        return "0"
    if number is None or not number.is_finite() or number.adjusted() > dtype.precision:
        return None
    if number.as_tuple().exponent < -1000:  # type: ignore[operator]
        return None
    plain = f"{number:f}"
    whole, _, rest = plain.partition(".")
    fits = len(whole.lstrip("+-0")) <= dtype.precision - dtype.scale
    return plain if fits and not rest[dtype.scale :].strip("0") else None


def _booleans(text: pl.Series, form: TextFormat) -> pl.Series:
    numbers = (("1",), ("0",)) if form.cells else ((), ())
    true = form.true_values or (*_TRUE, *numbers[0])
    false = form.false_values or (*_FALSE, *numbers[1])
    words = {word.lower(): False for word in false} | {word.lower(): True for word in true}
    lower = text.str.to_lowercase()
    return lower.replace_strict(words, default=None, return_dtype=pl.Boolean)


def _times(text: pl.Series, dtype: pl.DataType, form: TextFormat) -> pl.Series:
    zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    if form.formats:
        formats = form.formats
    elif zoned:
        formats = (*_ISO_ZONED, *(_SHORT_ZONED if form.cells else ()))
        formats += (*_ISO[pl.Datetime], *_SHORT) if form.time_zone else ()
    else:
        short = _SHORT if form.cells and isinstance(dtype, pl.Datetime) else ()
        formats = (*_ISO[type(dtype)], *short)
    values = _strptime(text, dtype, formats[0], form)
    for one in formats[1:]:
        if values.null_count() == text.null_count():
            break
        rows = (values.is_null() & text.is_not_null()).arg_true()
        values = _put(values, rows, _strptime(text.gather(rows), dtype, one, form))
    return _refuse_finer(text, values, dtype) if form.cells or form.formats else values


def _strptime(text: pl.Series, dtype: pl.DataType, form: str, rules: TextFormat) -> pl.Series:
    """Read times of one format; local times that don't exist or exist twice become null."""
    local = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None and not has_offset(form)
    read: pl.DataType = dtype
    if local:
        read = pl.Datetime(dtype.time_unit)  # type: ignore[attr-defined]
    elif isinstance(dtype, pl.Date) and has_clock(form):
        read = pl.Datetime("us")
    values = text.str.strptime(read, form, strict=False)  # type: ignore[arg-type]
    if isinstance(read, pl.Datetime):
        values = _refuse_leap_seconds(text, values, form)
    if rules.cells or rules.formats:
        values = _refuse_short_years(text, values, dtype)
    if isinstance(dtype, pl.Date) and read != dtype:
        # A day with a time of day is only a day at midnight.
        days = values.cast(pl.Date)
        return _null_where(days, days.cast(read) != values)
    if local and isinstance(dtype, pl.Datetime):
        zone = rules.time_zone or dtype.time_zone
        placed = values.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
        return placed.dt.convert_time_zone(str(dtype.time_zone))
    return values


def _refuse_leap_seconds(text: pl.Series, values: pl.Series, form: str) -> pl.Series:
    """Refuse the second 60, which Polars reads as the first one of the next minute."""
    rows = (text.str.contains("60", literal=True) & (values.dt.second() == 0)).arg_true()
    if not rows.len():
        return values
    earlier = text.gather(rows).str.replace_all("60", "59", literal=True)
    seconds = earlier.str.strptime(values.dtype, form, strict=False).dt.second()  # type: ignore[arg-type]
    leap = rows.filter((seconds == 59).fill_null(False))
    return values.scatter(leap, None) if leap.len() else values


def _refuse_short_years(text: pl.Series, values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Refuse years of other than four digits: the year 13 is more likely one of this century."""
    if isinstance(dtype, pl.Time):
        return values
    years = values.dt.year()
    least, most = years.min(), years.max()
    if least is None or (least >= 1000 and most <= 9999):  # type: ignore[operator]
        return values
    odd = ~years.is_between(1000, 9999)
    written = years.is_between(1, 999) & text.str.contains(r"(?:^|[^0-9])0[0-9]{3}(?:$|[^0-9])")
    return _null_where(values, odd & ~written)


def _refuse_finer(text: pl.Series, values: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Refuse fractions of a second that are finer than the type."""
    if isinstance(dtype, pl.Date):
        return values
    digits = _DIGITS[dtype.time_unit] if isinstance(dtype, pl.Datetime) else 9
    longest = text.str.len_bytes().max()
    if longest is None or longest <= len("00:00:00.") + digits:  # type: ignore[operator]
        return values
    finer = text.str.contains(rf":[0-9]{{2}}\.[0-9]{{{digits}}}[0-9]*[1-9]")
    return _null_where(values, finer) if finer.any() else values
