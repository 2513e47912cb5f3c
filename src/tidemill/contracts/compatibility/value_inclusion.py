"""Decide without data whether every value that one column allows is allowed by another.

A yes is always right. A no may be wrong if only the values could decide it: two regular expressions, for
example, count as the same only if they are equal.
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

# The terms about single values, and the fields that define them.
VALUE_TERMS: Mapping[str, tuple[str, ...]] = {
    "min": ("min", "min_exclusive"),
    "max": ("max", "max_exclusive"),
    "min_length": ("min_length",),
    "max_length": ("max_length",),
    "isin": ("isin",),
    "regex": ("regex",),
}
_ROUNDED = {"Float16": "e", "Float32": "f"}


def breakable_terms(wanted: Column, given: Column) -> Iterator[str]:
    """Yield the terms of `wanted` that a value allowed by `given` may break; the types are compatible."""
    finite = _values(given, wanted)
    for term, fields in VALUE_TERMS.items():
        required = {name: getattr(wanted, name) for name in fields}
        if all(value is None for value in required.values()):
            continue
        if finite is not None and term != "regex":
            alone = replace(Column(dtype=wanted.dtype), **required)
            if any(list(broken_terms(alone, value)) for value in finite):
                yield term
        elif not _implied(term, wanted, given):
            yield term


def _implied(term: str, wanted: Column, given: Column) -> bool:
    match term:
        case "min":
            required, actual = _lower(wanted), _lower(given)
            return required is None or (actual is not None and actual >= required)
        case "max":
            required, actual = _upper(wanted), _upper(given)
            return required is None or (actual is not None and actual <= required)
        case "min_length":
            return (given.min_length or 0) >= (wanted.min_length or 0)
        case "max_length":
            return given.max_length is not None and given.max_length <= (wanted.max_length or 0)
    return bool(getattr(wanted, term) == getattr(given, term))


def _values(given: Column, wanted: Column) -> list[Any] | None:
    """Return all values that a column allows, if they can be listed."""
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
    """Return the integers of a column's range; none if there are more than `most`."""
    low, high = _lower(column), _upper(column)
    if not is_integer(column.dtype) or low is None or high is None:
        return []
    first, last = low[0], high[0]
    return list(range(first, last + 1)) if last - first < most else []


def _lower(column: Column) -> tuple[Any, int] | None:
    """Return the lower bound and 0 if it is inclusive, 1 if exclusive; None without a bound."""
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
    """Return the upper bound and 0 if it is inclusive, -1 if exclusive; None without a bound."""
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
    """Round a bound to the precision of the type, as comparisons do."""
    form = _ROUNDED.get(dtype.name)
    return value if form is None else struct.unpack(form, struct.pack(form, value))[0]
