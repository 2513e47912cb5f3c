"""How a declared column can contradict itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime

from tidemill.domain.column import ON_FAIL, ROLES, Column
from tidemill.domain.partition import Grain

# Unicode classes are right for Polars and unknown to Python's regular expressions.
_UNICODE_CLASS = re.compile(r"\\[pP](\{[^}]*\}|\w)")
# Their values have no text that is one and the same everywhere.
_INEXACT = frozenset({"Float16", "Float32", "Float64", "Binary"})


def column_problems(column: Column) -> Iterable[str]:
    """Everything by which a column contradicts itself, each as a sentence."""
    problems = (_choices(column), _bounds(column), _domain(column), _partition(column))
    return (f"{column.name}: {problem}" for found in problems for problem in found)


def _choices(column: Column) -> Iterable[str]:
    if column.on_fail not in ON_FAIL:
        yield f"on_fail={column.on_fail!r} is not one of {', '.join(ON_FAIL)}"
    if column.role not in ROLES:
        yield f"role={column.role!r} is not one of {', '.join(filter(None, ROLES))}"


def _bounds(column: Column) -> Iterable[str]:
    bounds = {"min": column.min, "max": column.max}
    wrong = [f"{name}={bound!r}" for name, bound in bounds.items() if not _fits(bound, column)]
    if wrong:
        yield f"{' and '.join(wrong)} can't be compared with a {column.dtype}"
    elif column.min is not None and column.max is not None and column.min > column.max:  # type: ignore[operator]
        yield f"min={column.min!r} is above max={column.max!r}"


def _fits(bound: object, column: Column) -> bool:
    dtype = column.dtype
    if bound is None:
        return True
    if dtype.name == "Datetime":
        return isinstance(bound, datetime) and (bound.tzinfo is None) == (dtype.args[1] is None)
    if dtype.name == "Date":
        return isinstance(bound, date) and not isinstance(bound, datetime)
    # A bound that isn't equal to itself is NaN, which nothing is above or below.
    return dtype.is_number and isinstance(bound, int | float) and bound == bound


def _domain(column: Column) -> Iterable[str]:
    dtype = column.dtype
    if column.isin is not None and not column.isin:
        yield "isin is empty, so no value could pass"
    if dtype.name == "Enum" and not dtype.args:
        yield "an Enum without categories, so no value could pass"
    if dtype.name == "Enum" and len(set(dtype.args)) < len(dtype.args):
        yield f"an Enum that names a category twice: {', '.join(map(str, dtype.args))}"
    if column.regex is not None:
        try:
            re.compile(_UNICODE_CLASS.sub("a", column.regex))
        except re.error as error:
            yield f"regex {column.regex!r} is invalid: {error}"


def _partition(column: Column) -> Iterable[str]:
    if column.partition is not None and column.nullable:
        yield "a partition column can't be nullable"
    if isinstance(column.partition, Grain) and not column.dtype.is_time:
        yield f"partition by time needs a Date or Datetime column, not {column.dtype}"
    if column.partition is Grain.HOUR and column.dtype.name == "Date":
        yield "a Date has no hours to partition by; use a Datetime"
    if column.partition == "value" and (column.dtype.is_nested or column.dtype.name in _INEXACT):
        yield f"a {column.dtype} can't be partitioned by value; use text, integers or times"
