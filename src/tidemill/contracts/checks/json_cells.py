"""Read lists and structs from cells of JSON text."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

_DIGITS = {"ms": 3, "us": 6, "ns": 9}
# The fraction of a second, before the offset from UTC.
_FRACTION = re.compile(
    r"(?:(?<=:[0-9]{2}:[0-9]{2})|(?<=T[0-9]{6}))[.,]([0-9]+)(?=(?:Z|[+-][0-9:]+)?$)"
)
_DATE = len("2013-03-07")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nested_values(text: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Read lists and structs from JSON; null for a cell with an item of another type."""
    values = [None if cell is None else _cell(cell, dtype) for cell in text]
    return pl.Series(text.name, values, dtype=_counted(dtype), strict=True).cast(dtype)


def _counted(dtype: pl.DataType) -> pl.DataType:
    """The type with moments as numbers of their units: Python's moments hold no nanoseconds."""
    match dtype:
        case pl.Array():
            return pl.Array(_counted(_instance(dtype.inner)), dtype.size)
        case pl.List():
            return pl.List(_counted(_instance(dtype.inner)))
        case pl.Struct():
            return pl.Struct({f.name: _counted(_instance(f.dtype)) for f in dtype.fields})
        case pl.Datetime() | pl.Time():
            return pl.Int64()
    return dtype


def _cell(cell: str, dtype: pl.DataType) -> Any:
    try:
        cell.encode()
        return _value(json.loads(cell, parse_float=Decimal), dtype)
    except (ValueError, KeyError, ArithmeticError, RecursionError):
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
        return _float(float(_require(value, int, Decimal)), dtype)
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


def _float(value: float, dtype: pl.DataType) -> float:
    """Return the number; ArithmeticError if the type doesn't hold it, such as 1e300 in Float32."""
    if math.isinf(value):
        raise OverflowError(f"more than {dtype} holds")
    if isinstance(dtype, pl.Float32):
        struct.pack("<f", value)
    return value


def _moment(value: Any, dtype: pl.DataType) -> int:
    """Return the time since 1970 (UTC) in the type's unit."""
    assert isinstance(dtype, pl.Datetime)
    whole, fraction = _split_fraction(_require(value, str), _DIGITS[dtype.time_unit])
    moment = datetime.fromisoformat(whole)
    if (moment.tzinfo is None) != (dtype.time_zone is None) or moment.microsecond:
        raise ValueError(value)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    units = (moment - _EPOCH) // timedelta(seconds=1) * 10 ** _DIGITS[dtype.time_unit] + fraction
    return _integer(units, "Int64")


def _time(value: Any, _: pl.DataType) -> int:
    """Return the nanoseconds since midnight."""
    whole, fraction = _split_fraction(_require(value, str), _DIGITS["ns"])
    clock = time.fromisoformat(whole)
    if clock.tzinfo is not None or clock.microsecond:
        raise ValueError(value)
    seconds = (clock.hour * 60 + clock.minute) * 60 + clock.second
    return seconds * 10**9 + fraction


def _split_fraction(text: str, digits: int) -> tuple[str, int]:
    """Return a time without its fraction of a second, and that in a unit; ValueError if it's finer."""
    found = _FRACTION.search(text)
    if found is None:
        return text, 0
    given = found[1].rstrip("0")
    before = text[_DATE : found.start()]
    if len(given) > digits or "+" in before or "-" in before:
        raise ValueError(f"{text}: more than {digits} digits, or a fraction of an offset")
    return text[: found.start()] + text[found.end() :], int(given.ljust(digits, "0"))


_READ: Mapping[type[pl.DataType], Callable[[Any, pl.DataType], Any]] = {
    pl.String: _text,
    pl.Enum: _text,
    pl.Categorical: _text,
    pl.Boolean: lambda value, _: _require(value, bool),
    pl.Date: lambda value, _: date.fromisoformat(_require(value, str)),
    pl.Time: _time,
    pl.Datetime: _moment,
}


def _instance(dtype: Any) -> pl.DataType:
    return dtype if isinstance(dtype, pl.DataType) else dtype()
