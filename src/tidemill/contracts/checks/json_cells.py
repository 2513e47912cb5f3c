"""Read lists and structs from cells of JSON text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl


def nested_values(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Read lists and structs from JSON; null for a cell with an item of another type."""
    values = [None if cell is None else _cell(cell, dtype) for cell in text]
    return pl.Series(text.name, values, dtype=dtype, strict=True)


def _cell(cell: str, dtype: pl.DataType) -> Any:
    try:
        cell.encode()
        return _value(json.loads(cell, parse_float=Decimal), dtype)
    except (ValueError, KeyError, ArithmeticError):
        return None


def _value(value: Any, dtype: pl.DataType) -> Any:
    """Return a JSON value as a value of the type; ValueError or KeyError if it isn't one."""
    if value is None:
        return None
    match dtype:
        case pl.List() | pl.Array():
            items = [_value(item, _instance(dtype.inner)) for item in _require(value, list)]
            if isinstance(dtype, pl.Array) and len(items) != dtype.size:
                raise ValueError(f"{len(items)} items")
            return items
        case pl.Struct():
            types = {field.name: _instance(field.dtype) for field in dtype.fields}
            given = {name: _value(v, types[name]) for name, v in _require(value, dict).items()}
            return {name: given.get(name) for name in types}
    return _scalar(value, dtype)


def _scalar(value: Any, dtype: pl.DataType) -> Any:
    if dtype.is_integer():
        return _integer(_require(value, int), type(dtype).__name__)
    if isinstance(dtype, pl.Decimal):
        return _decimal(Decimal(_require(value, int, Decimal)), dtype)
    if dtype.is_float():
        return float(_require(value, int, Decimal))
    read = _READ.get(type(dtype))
    if read is None:
        raise ValueError(f"{dtype} in JSON")
    return read(value, dtype)


def _integer(value: int, kind: str) -> int:
    """Return an integer; ValueError if a type such as Int8 or UInt64 doesn't hold it."""
    bits = int(kind.removeprefix("U").removeprefix("Int"))
    low, high = (0, 1 << bits) if kind[0] == "U" else (-1 << (bits - 1), 1 << (bits - 1))
    if not low <= value < high:
        raise ValueError(f"{value} in {kind}")
    return value


def _decimal(value: Decimal, dtype: pl.Decimal) -> Decimal:
    if value.adjusted() >= dtype.precision - dtype.scale or value != round(value, dtype.scale):
        raise ValueError(f"{value} in {dtype}")
    return value


def _require(value: Any, *kinds: type) -> Any:
    if isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds):
        return value
    raise ValueError(f"{type(value).__name__}")


def _text(value: Any, dtype: pl.DataType) -> str:
    text: str = _require(value, str)
    text.encode()
    if isinstance(dtype, pl.Enum) and text not in dtype.categories:
        raise ValueError(text)
    return text


def _moment(value: Any, dtype: pl.DataType) -> datetime:
    moment = datetime.fromisoformat(_require(value, str))
    assert isinstance(dtype, pl.Datetime)
    if (moment.tzinfo is None) != (dtype.time_zone is None):
        raise ValueError(value)
    return moment


_READ: Mapping[type[pl.DataType], Callable[[Any, pl.DataType], Any]] = {
    pl.String: _text,
    pl.Enum: _text,
    pl.Categorical: _text,
    pl.Boolean: lambda value, _: _require(value, bool),
    pl.Date: lambda value, _: date.fromisoformat(_require(value, str)),
    pl.Time: lambda value, _: time.fromisoformat(_require(value, str)),
    pl.Datetime: _moment,
}


def _instance(dtype: Any) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()
