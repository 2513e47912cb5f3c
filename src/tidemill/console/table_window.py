"""Some columns of some rows of a table, each value as text."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tidemill.console.personal_values import HIDDEN
from tidemill.core.lazy_dataclass import dataclass

if TYPE_CHECKING:
    import polars as pl

# So many columns are shown at once, and so many characters or bytes of a value.
MOST_COLUMNS = 50
_LONGEST, _MOST_BYTES = 1_000, 64
_NO_FRACTION = re.compile(r"\.0+(?=\D|$)")
# Contracts write types without the names of their arguments.
_ARGUMENT = re.compile(r"\b(?:time_unit|time_zone|precision|scale|shape)=")
_UNSHOWN = "(a time beyond the calendar)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """A column: its type, which personal data it holds by its contract, and whether its values are hidden."""

    name: str
    type: str
    is_number: bool
    personal: str = ""
    is_hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """A row with its number, from 0; null is null, every other value is text."""

    number: int
    cells: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWindow:
    """Some columns, from `first_column` on, of `total_columns`, and some rows."""

    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]
    first_column: int
    total_columns: int


def chosen_columns(names: Sequence[str], first: int, containing: str) -> tuple[list[str], int, int]:
    """The columns that are shown, the position of the first one, and how many fit `containing`."""
    fitting = [name for name in names if containing.casefold() in name.casefold()]
    start = max(first, 0) if first < len(fitting) else 0
    return fitting[start : start + MOST_COLUMNS], start, len(fitting)


def table_window(
    frame: pl.DataFrame,
    *,
    numbers: Sequence[int],
    first_column: int = 0,
    total_columns: int | None = None,
    personal: Mapping[str, str] | None = None,
    hidden: Collection[str] = (),
) -> TableWindow:
    """The rows of a small frame, which has the wanted columns only, under their `numbers`.

    Of `hidden` columns it only tells where they are null.
    """
    marks = personal or {}
    columns = tuple(
        TableColumn(
            name=name,
            type=_short_type(dtype),
            is_number=dtype.is_numeric(),
            personal=marks.get(name, ""),
            is_hidden=name in hidden,
        )
        for name, dtype in frame.schema.items()
    )
    texts = [
        hidden_texts(series) if series.name in hidden else column_texts(series)
        for series in frame.get_columns()
    ]
    return TableWindow(
        columns=columns,
        rows=tuple(
            TableRow(number=number, cells=tuple(column[at] for column in texts))
            for at, number in enumerate(numbers)
        ),
        first_column=first_column,
        total_columns=len(columns) if total_columns is None else total_columns,
    )


def hidden_texts(series: pl.Series) -> list[str | None]:
    """What stands for the values of a column that aren't shown; null stays null."""
    return [None if is_null else HIDDEN for is_null in series.is_null()]


def column_texts(series: pl.Series) -> list[str | None]:
    """The values of a column as text."""
    dtype = series.dtype
    # Python has fewer times than columns can hold.
    if dtype.is_temporal() and type(dtype).__name__ != "Duration":
        texts = series.dt.to_string("iso").to_list()
        return [None if text is None else _NO_FRACTION.sub("", text) for text in texts]
    try:
        values = series.to_list()
    except ValueError:
        return [_UNSHOWN] * series.len()
    return [value_text(value) for value in values]


def value_text(value: object) -> str | None:
    """One value as text; None for null."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return _bytes_text(value)
    if isinstance(value, list | dict):
        return _cut(json.dumps(value, ensure_ascii=False, default=_inner))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return str(value)
    return _cut(str(value))


def _inner(value: Any) -> Any:
    if isinstance(value, bytes):
        return _bytes_text(value)
    return value.to_list() if hasattr(value, "to_list") else str(value)


def _bytes_text(value: bytes) -> str:
    shown = value[:_MOST_BYTES].hex(" ")
    rest = f" ... ({len(value):,} bytes)" if len(value) > _MOST_BYTES else ""
    return f"{shown}{rest}"


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... ({len(text):,} characters)"


def _short_type(dtype: pl.DataType) -> str:
    text = "Enum" if type(dtype).__name__ == "Enum" else _ARGUMENT.sub("", str(dtype))
    return text if len(text) <= 60 else f"{text[:57]}..."
