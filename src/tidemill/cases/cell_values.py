"""Turn the cells of a case into columns: of the types of a contract, or as a source would have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from types import UnionType
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.cases.stage_case import GivenTable
from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.schema import TEXT_TYPES, polars_type
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.text_format import TextFormat
from tidemill.core.units import parse_seconds

_UNREADABLE = (PolarsError, PanicException, TypeError, ValueError, OverflowError, InvalidOperation)
# Types whose text Tidemill reads from no file, but people write into cases.
_OWN_TEXT = (pl.Duration, pl.Binary)


# The Python types of the values of a type.
_KINDS: Mapping[type[pl.DataType], type | UnionType] = {
    pl.Boolean: bool,
    pl.String: str,
    pl.Categorical: str,
    pl.Enum: str,
    pl.Binary: bytes,
    pl.Date: date,
    pl.Datetime: date,
    pl.Time: time,
    pl.Duration: timedelta,
    pl.List: list | tuple,
    pl.Array: list | tuple,
    pl.Struct: Mapping,
}


class CellError(ValueError):
    """A cell that is no value of its column."""


def typed_table(table: GivenTable, spec: ContractSpec, names: Sequence[str] = ()) -> pl.DataFrame:
    """The rows of a table in the types of a contract, with the columns that they name.

    `names` are columns that it has even if no row names them. CellError for a cell that is no value of its
    column.
    """
    named = [*dict.fromkeys((*table.columns, *names))]
    columns = [
        _typed(column, _cells(table, column.name), is_text=table.is_text)
        for column in spec.columns
        if column.name in named
    ]
    if not columns:
        return pl.DataFrame(height=table.height)
    return pl.DataFrame(columns)


def source_table(table: GivenTable, spec: ContractSpec | None = None) -> pl.DataFrame:
    """The rows of a table as a source has them: values that are of several types in a column are texts.

    Values of types that neither TOML nor Python has, such as arrays, are of the type in the contract `spec`.
    """
    if table.frame is not None:
        return table.frame
    declared = {} if spec is None or table.is_text else {each.name: each for each in spec.columns}
    columns = [_of_source(name, _cells(table, name), declared.get(name)) for name in table.columns]
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=table.height)


def _cells(table: GivenTable, name: str) -> pl.Series | list[Any]:
    if table.frame is not None:
        frame = table.frame
        return frame[name] if name in frame.columns else [None] * frame.height
    return [row.get(name) for row in table.rows or ()]


def _of_source(name: str, cells: pl.Series | list[Any], column: Column | None) -> pl.Series:
    if column is not None:
        dtype = polars_type(column.dtype)
        if dtype.is_nested() or isinstance(dtype, _OWN_TEXT):
            with suppress(CellError):
                return _typed(column, cells, is_text=False)
    return _as_found(name, cells)


def _as_found(name: str, cells: pl.Series | list[Any]) -> pl.Series:
    assert isinstance(cells, list)
    kinds = {type(cell) for cell in cells if cell is not None}
    if not kinds or kinds == {str}:
        return pl.Series(name, cells, dtype=pl.String)
    try:
        if len(kinds) == 1 or kinds <= {int, float}:
            numbers = len(kinds) == 2
            return pl.Series(name, [_as_float(cell) for cell in cells] if numbers else cells)
    except _UNREADABLE:
        pass
    return pl.Series(name, [None if cell is None else cell_text(cell) for cell in cells], pl.String)


def _as_float(cell: Any) -> Any:
    return None if cell is None else float(cell)


def _typed(column: Column, cells: pl.Series | list[Any], *, is_text: bool) -> pl.Series:
    dtype = polars_type(column.dtype)
    # Cells of a CSV are read as those of a file are, other texts as values that are stored.
    text = replace(column.text, cells="csv") if is_text else column.text
    if isinstance(cells, pl.Series):
        return _cast(cells, column, dtype, text)
    has_text = any(isinstance(cell, str) for cell in cells)
    if has_text and not isinstance(dtype, TEXT_TYPES) and not dtype.is_nested():
        texts = [cell if isinstance(cell, str) else None for cell in cells]
        found = _from_text(pl.Series(column.name, texts, pl.String), column, dtype, text)
        others = [None if isinstance(cell, str) else cell for cell in cells]
        is_written = pl.Series([isinstance(cell, str) for cell in cells])
        return found.zip_with(is_written, _from_values(others, column, dtype))
    if (
        has_text
        and dtype.is_nested()
        and all(cell is None or isinstance(cell, str) for cell in cells)
    ):
        form = replace(text, cells="json")
        return _cast(pl.Series(column.name, cells, pl.String), column, dtype, form)
    return _from_values(cells, column, dtype)


def _from_text(cells: pl.Series, column: Column, dtype: pl.DataType, text: TextFormat) -> pl.Series:
    if isinstance(dtype, _OWN_TEXT):
        return _from_values([_own_value(cell, dtype, column) for cell in cells], column, dtype)
    return _cast(cells, column, dtype, text)


def _own_value(cell: str | None, dtype: pl.DataType, column: Column) -> object:
    if cell is None or isinstance(dtype, pl.Binary):
        return None if cell is None else cell.encode()
    try:
        return timedelta(seconds=parse_seconds(cell))
    except ValueError:
        raise CellError(
            f"{column.name} = {cell!r} is no {column.dtype}; write a length such as 90s, 15m or 36h"
        ) from None


def _cast(cells: pl.Series, column: Column, dtype: pl.DataType, text: TextFormat) -> pl.Series:
    held, values = cast_column(cells, dtype, text)
    lost = values.is_null() & held.is_not_null()
    if lost.any():
        number = lost.arg_true()[0]
        shown = cell_text(cells[number])
        raise CellError(f"row {number + 1}: {column.name} = {shown!r} is no {column.dtype}")
    return values.alias(column.name)


def _from_values(cells: list[Any], column: Column, dtype: pl.DataType) -> pl.Series:
    """A column of Python values; each must be one of the type, as it is."""
    try:
        return _as_column(cells, column, dtype)
    except _UNREADABLE as error:
        number = next(n for n in range(len(cells)) if not _fits(cells[n], column, dtype))
        said = f"{column.name} = {cell_text(cells[number])!r} is no {column.dtype}"
        raise CellError(f"row {number + 1}: {said}") from error


def _fits(cell: Any, column: Column, dtype: pl.DataType) -> bool:
    try:
        _as_column([cell], column, dtype)
    except _UNREADABLE:
        return False
    return True


def _as_column(cells: list[Any], column: Column, dtype: pl.DataType) -> pl.Series:
    prepared = [_prepared(cell, dtype) for cell in cells]
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return _moments(prepared, dtype).alias(column.name)
    return pl.Series(column.name, prepared, dtype=dtype, strict=True)


def _moments(cells: list[Any], dtype: pl.Datetime) -> pl.Series:
    """Moments in the zone of a column; those without a zone are local there."""
    zone = dtype.time_zone
    assert zone is not None
    naive = [cell if cell is None or cell.tzinfo is None else None for cell in cells]
    aware = [cell if cell is not None and cell.tzinfo is not None else None for cell in cells]
    local = pl.Series(naive, dtype=pl.Datetime("us")).dt.replace_time_zone(zone)
    moments = pl.Series(aware, dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    return local.zip_with(local.is_not_null(), moments).cast(dtype)


def _prepared(cell: Any, dtype: pl.DataType) -> Any:
    """A cell as Polars takes it for a type, without a change of its meaning; ValueError for others.

    Polars would take more, such as a bool as a number, or fields that a struct doesn't have.
    """
    if cell is None:
        return None
    _require(_is_of(cell, dtype))
    if isinstance(dtype, pl.Decimal):
        return cell if isinstance(cell, Decimal) else Decimal(repr(cell))
    if dtype.is_float():
        return float(cell)
    if isinstance(dtype, pl.Datetime) and not isinstance(cell, datetime):
        return datetime.combine(cell, time())
    if isinstance(dtype, pl.Date) and isinstance(cell, datetime):
        _require(cell == datetime.combine(cell.date(), time()))
        return cell.date()
    if isinstance(dtype, pl.Struct):
        inner = {field.name: _instance(field.dtype) for field in dtype.fields}
        _require(cell.keys() <= inner.keys())
        return {name: _prepared(cell.get(name), kind) for name, kind in inner.items()}
    if isinstance(dtype, pl.List | pl.Array):
        return [_prepared(item, _instance(dtype.inner)) for item in cell]
    return cell


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError("the value is of another type")


def _is_of(cell: Any, dtype: pl.DataType) -> bool:
    """Whether a Python value is of a kind that a type has."""
    if isinstance(cell, bool):
        return isinstance(dtype, pl.Boolean)
    if dtype.is_integer():
        return isinstance(cell, int)
    if dtype.is_numeric():
        return isinstance(cell, int | float | Decimal)
    return isinstance(cell, _KINDS.get(type(dtype), object))


def _instance(dtype: Any) -> pl.DataType:
    found: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return found


def cell_text(value: object) -> str:
    """A value as people read it in a table: null for a missing one."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}" if float(f"{value:.10g}") == value else repr(value)
    if isinstance(value, pl.Series):
        return cell_text(value.to_list())
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(cell_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {cell_text(item)}' for name, item in value.items())}}}"
    if isinstance(value, bytes):
        return value.decode() if value.isascii() else value.hex()
    return str(value)


def comparable_cells(series: pl.Series) -> list[Any]:
    """The cells of a column as values that can be compared exactly: nanoseconds as whole numbers."""
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime | pl.Duration | pl.Time):
        return series.to_physical().to_list()
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return series.cast(pl.String).to_list()
    return series.to_list()
