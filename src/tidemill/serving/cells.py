"""The values of parsed JSON as text, as an ingest reads the cells of JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any

import polars as pl

from tidemill.contracts.column import Column
from tidemill.contracts.text_format import NOT_UNICODE
from tidemill.serving.strict_json import Number, written

_MICROSECONDS = 1_000_000


def text_cell(value: Any, column: Column) -> str | None:
    """Return a parsed JSON value as the text of a cell; null is None.

    A number has a decimal point, and true and false are themselves, whatever the column declares for text.
    """
    match value:
        case None:
            return None
        case Number():
            return value.replace(".", ",") if column.text.decimal_comma else str(value)
        case str():
            return _text(value)
        case True:
            return (column.text.true_values or ("true",))[0]
        case False:
            return (column.text.false_values or ("false",))[0]
    return written(value)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return NOT_UNICODE + value.encode(errors="backslashreplace").decode()
    return value


def cell_series(column: Column, values: Sequence[Any]) -> pl.Series:
    """Return parsed JSON values of a column as a series of text; a duration is a number of seconds.

    Values of a duration that are no numbers make the whole series text, which the contract refuses.
    """
    if column.dtype.name == "Duration":
        numbers = [_microseconds(value) for value in values]
        if all(n is not None or v is None for n, v in zip(numbers, values, strict=True)):
            return pl.Series(column.name, numbers, dtype=pl.Duration("us"))
    cells = [text_cell(value, column) for value in values]
    return pl.Series(column.name, cells, dtype=pl.String)


def _microseconds(value: Any) -> int | None:
    if not isinstance(value, Number):
        return None
    number = float(value) * _MICROSECONDS
    return round(number) if abs(number) < 1 << 62 else None


def default_cells(column: Column, like: pl.Series) -> pl.Series:
    """Return the default of an optional column as a series of one value, in the type of its cells."""
    value: Any = column.default
    if value is None or like.dtype != pl.String:
        return pl.Series(column.name, [value], dtype=like.dtype)
    if isinstance(value, bool):
        text = text_cell(value, column)
    elif isinstance(value, int | float | Decimal):
        text = text_cell(Number(value), column)
    elif isinstance(value, date | time):
        forms = column.text.formats
        # Polars writes a fraction of a second as %.f, with the point.
        text = value.strftime(forms[0].replace("%.f", ".%f")) if forms else value.isoformat()
    else:
        text = str(value)
    return pl.Series(column.name, [text], dtype=pl.String)
