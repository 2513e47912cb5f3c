"""Check that the default of an optional column passes the column's own rules.

Patterns and the categories of a Categorical need Polars; they are checked when the contract's rules
are compiled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from math import isnan
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import Args, DType

_KINDS: dict[str, type | tuple[type, ...]] = {
    "Boolean": bool,
    "String": str,
    "Categorical": str,
    "Binary": bytes,
    "Time": time,
    "Duration": timedelta,
}


def default_problems(column: Column) -> Iterable[str]:
    """Yield the reasons why the column's own rules refuse its `default`."""
    value: Any = column.default
    if value is None:
        return
    default = f"default={value!r}"
    if column.dtype.is_nested:
        yield f"{default} on a {column.dtype}: nested columns can only be filled with null"
    elif not is_value_of(value, column.dtype):
        yield f"{default} is not a value of {column.dtype}"
    else:
        yield from (
            f"{default} breaks its own rule: {rule}" for rule in broken_terms(column, value)
        )


def broken_terms(column: Column, value: Any) -> Iterable[str]:
    """Yield the terms of a column that `value` breaks, except patterns, which need Polars."""
    length = len(value) if isinstance(value, str | bytes) else 0
    checks = (
        ("min", column.min, lambda bound: value >= bound),
        ("max", column.max, lambda bound: value <= bound),
        ("min_exclusive", column.min_exclusive, lambda bound: value > bound),
        ("max_exclusive", column.max_exclusive, lambda bound: value < bound),
        ("min_length", column.min_length, lambda bound: length >= bound),
        ("max_length", column.max_length, lambda bound: length <= bound),
        ("isin", column.isin, lambda allowed: value in allowed),
    )
    for name, limit, passes in checks:
        if limit is not None and not passes(limit):
            yield f"{name}={list(limit) if isinstance(limit, tuple) else limit!r}"


def is_value_of(value: object, dtype: DType) -> bool:
    """Whether a Python value belongs to a type that isn't nested; NaN belongs to none."""
    name = dtype.name
    if name == "Enum":
        return isinstance(value, str) and value in dtype.args
    if name == "Datetime":
        return isinstance(value, datetime) and (value.tzinfo is None) == (dtype.args[1] is None)
    if name == "Date":
        return isinstance(value, date) and not isinstance(value, datetime)
    if name in _KINDS:
        return isinstance(value, _KINDS[name])
    if isinstance(value, bool):
        return False
    if name == "Decimal":
        return isinstance(value, int | Decimal) and _has_digits(Decimal(value), dtype.args)
    if name.startswith("Float"):
        return isinstance(value, int | float) and not isnan(float(value))
    if not isinstance(value, int) or dtype.integer_range is None:
        return False
    least, most = dtype.integer_range
    return least <= value <= most


def _has_digits(value: Decimal, args: Args) -> bool:
    precision, scale = (int(str(arg)) for arg in args)
    if not value.is_finite():
        return False
    # Python rounds the result of every operation on decimals to 28 digits.
    units = Fraction(value) * Fraction(10) ** scale
    return units.denominator == 1 and bool(abs(units) < Fraction(10) ** precision)
