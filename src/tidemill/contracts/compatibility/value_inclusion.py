"""Whether every value that one contracted column allows is allowed by another, told without data.

The answer is never yes by mistake. It may be no where only the values themselves could tell: of two
regular expressions, say, equal ones are the same and all others are not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from math import ceil, floor, inf
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.default_value import broken_terms
from tidemill.contracts.dtype import DType

# What a column says of each of its values, and the fields that say it.
VALUE_TERMS: Mapping[str, tuple[str, ...]] = {
    "min": ("min", "min_exclusive"),
    "max": ("max", "max_exclusive"),
    "min_length": ("min_length",),
    "max_length": ("max_length",),
    "isin": ("isin",),
    "regex": ("regex",),
}
_ROUNDED = {"Float16": "e", "Float32": "f"}


def value_faults(wanted: Column, given: Column) -> Iterator[str]:
    """The terms of `wanted` that values may break which `given` allows; the types fit already."""
    finite = _values(given, wanted)
    for term, fields in VALUE_TERMS.items():
        asked = {name: getattr(wanted, name) for name in fields}
        if all(value is None for value in asked.values()):
            continue
        if finite is not None and term != "regex":
            alone = replace(Column(dtype=wanted.dtype), **asked)
            if any(list(broken_terms(alone, value)) for value in finite):
                yield term
        elif not _implied(term, wanted, given):
            yield term


def _implied(term: str, wanted: Column, given: Column) -> bool:
    match term:
        case "min":
            asked, has = _lower(wanted), _lower(given)
            return asked is None or (has is not None and has >= asked)
        case "max":
            asked, has = _upper(wanted), _upper(given)
            return asked is None or (has is not None and has <= asked)
        case "min_length":
            return (given.min_length or 0) >= (wanted.min_length or 0)
        case "max_length":
            return given.max_length is not None and given.max_length <= (wanted.max_length or 0)
    return bool(getattr(wanted, term) == getattr(given, term))


def _values(given: Column, wanted: Column) -> list[Any] | None:
    """All values that a column allows, where they can be counted up."""
    if given.isin is not None:
        values: list[Any] = [value for value in given.isin if value is not None]
    elif given.dtype.name == "Enum":
        values = list(given.dtype.args)
    elif given.dtype.name == "Boolean":
        values = [False, True]
    else:
        values = _few_integers(given, len(wanted.isin or ()))
        return values or None
    return [value for value in values if not list(broken_terms(given, value))]


def _few_integers(column: Column, most: int) -> list[Any]:
    """The integers of a range that isn't wider than `most`; none if it is."""
    low, high = _lower(column), _upper(column)
    if not is_integer(column.dtype) or low is None or high is None:
        return []
    first, last = low[0], high[0]
    return list(range(first, last + 1)) if last - first < most else []


def _lower(column: Column) -> tuple[Any, int] | None:
    """The least value and 0, or the value that all are above and 1; None without any."""
    value, above = column.min, 0
    if column.min_exclusive is not None:
        value, above = column.min_exclusive, 1
    if is_integer(column.dtype):
        return _least_integer(column.dtype, value, above), 0
    if value is None or value == -inf:
        return None
    if column.dtype.name == "Date" and isinstance(value, date):
        return value + timedelta(days=above), 0
    return _rounded(value, column.dtype), above


def _upper(column: Column) -> tuple[Any, int] | None:
    """The greatest value and 0, or the value that all are below and -1."""
    value, below = column.max, 0
    if column.max_exclusive is not None:
        value, below = column.max_exclusive, -1
    if is_integer(column.dtype):
        return _greatest_integer(column.dtype, value, below), 0
    if value is None or value == inf:
        return None
    if column.dtype.name == "Date" and isinstance(value, date):
        return value + timedelta(days=below), 0
    return _rounded(value, column.dtype), below


def is_integer(dtype: DType) -> bool:
    """Whether a type holds whole numbers only."""
    return dtype.name.startswith(("Int", "UInt"))


def _least_integer(dtype: DType, value: Any, above: int) -> int:
    least = 0 if dtype.name.startswith("U") else -(1 << _bits(dtype) - 1)
    if value is None or value == -inf:
        return least
    own: int = floor(value) + 1 if above else ceil(value)
    return max(least, own)


def _greatest_integer(dtype: DType, value: Any, below: int) -> int:
    most = (1 << _bits(dtype) - (not dtype.name.startswith("U"))) - 1
    if value is None or value == inf:
        return most
    own: int = ceil(value) - 1 if below else floor(value)
    return min(most, own)


def _bits(dtype: DType) -> int:
    return int(dtype.name.lstrip("UInt"))


def _rounded(value: Any, dtype: DType) -> Any:
    """A bound as values of few digits are compared with it."""
    form = _ROUNDED.get(dtype.name)
    return value if form is None else struct.unpack(form, struct.pack(form, value))[0]
