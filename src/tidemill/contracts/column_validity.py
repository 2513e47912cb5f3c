"""Check that the declaration of a column is consistent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from tidemill.contracts.column import ON_FAIL, ROLES, Column
from tidemill.contracts.default_value import default_problems
from tidemill.contracts.text_format import format_problems
from tidemill.core.partition import Grain

# Polars supports Unicode classes, Python's regular expressions don't.
_UNICODE_CLASS = re.compile(r"\\[pP](\{[^}]*\}|\w)")
# Values of these types have no canonical text.
_INEXACT = frozenset({"Float16", "Float32", "Float64", "Binary"})
_LONG = ("String", "Binary", "List")


def column_problems(column: Column) -> Iterable[str]:
    """Yield a sentence for each contradiction in the declaration of a column."""
    problems = [*_choices(column), *_bounds(column), *_lengths(column), *_domain(column)]
    problems += [*_partition(column), *_optional(column)]
    problems += format_problems(column.text, column.dtype)
    if not problems:
        problems += default_problems(column)
    return (f"{column.name}: {problem}" for problem in problems)


def _choices(column: Column) -> Iterable[str]:
    if column.on_fail not in ON_FAIL:
        yield f"on_fail={column.on_fail!r} is not one of {', '.join(ON_FAIL)}"
    if column.role not in ROLES:
        yield f"role={column.role!r} is not one of {', '.join(filter(None, ROLES))}"
    marks = {name: getattr(column, name) for name in ("nullable", "unique", "optional", "pii")}
    for name, value in marks.items():
        if name == "pii" and not isinstance(value, str):
            yield f"pii={value!r} is not text that names the kind of personal data"
        if name != "pii" and not isinstance(value, bool):
            yield f"{name}={value!r} is not True or False"
    if column.unique and column.dtype.is_nested:
        yield f"unique=True on a {column.dtype}, whose values aren't compared"


def _bounds(column: Column) -> Iterable[str]:
    names = ("min", "max", "min_exclusive", "max_exclusive")
    bounds = {name: bound for name in names if (bound := getattr(column, name)) is not None}
    wrong = [
        f"{name}={bound!r}" for name, bound in bounds.items() if not _is_comparable(bound, column)
    ]
    if wrong:
        yield f"{' and '.join(wrong)} can't be compared with a {column.dtype}"
        return
    for name in ("min", "max"):
        if name in bounds and f"{name}_exclusive" in bounds:
            open_ = bounds[f"{name}_exclusive"]
            yield f"{name}={bounds[name]!r} and {name}_exclusive={open_!r} are two bounds; use one"
    for low in ("min", "min_exclusive"):
        for high in ("max", "max_exclusive"):
            if low in bounds and high in bounds:
                yield from _empty_range(low, bounds[low], high, bounds[high])


def _empty_range(low: str, least: object, high: str, most: object) -> Iterable[str]:
    if least > most:  # type: ignore[operator]
        yield f"{low}={least!r} is above {high}={most!r}"
    elif least == most and (low, high) != ("min", "max"):
        yield f"{low}={least!r} and {high}={most!r} leave no value between them"


def _is_comparable(bound: object, column: Column) -> bool:
    dtype = column.dtype
    # The widest integers of Polars have 128 bits.
    if isinstance(bound, int) and abs(bound) >= 1 << 127:
        return False
    if dtype.name == "Datetime":
        return isinstance(bound, datetime) and (bound.tzinfo is None) == (dtype.args[1] is None)
    if dtype.name == "Date":
        return isinstance(bound, date) and not isinstance(bound, datetime)
    if dtype.name == "Decimal":
        exact = isinstance(bound, int) and not isinstance(bound, bool)
        return exact or (isinstance(bound, Decimal) and bound.is_finite())
    # NaN, the one bound that isn't equal to itself, bounds nothing.
    return dtype.is_number and isinstance(bound, int | float) and bound == bound


def _lengths(column: Column) -> Iterable[str]:
    names = ("min_length", "max_length")
    lengths = {name: length for name in names if (length := getattr(column, name)) is not None}
    if lengths and column.dtype.name not in _LONG:
        yield f"{' and '.join(lengths)} on a {column.dtype}: only {', '.join(_LONG)} have lengths"
        return
    wrong = [f"{name}={length!r}" for name, length in lengths.items() if not _is_length(length)]
    if wrong:
        yield f"{' and '.join(wrong)} is not a length: use 0, 1, 2, ..."
    elif len(lengths) == 2 and lengths["min_length"] > lengths["max_length"]:
        yield f"min_length={lengths['min_length']} is above max_length={lengths['max_length']}"


def _is_length(length: object) -> bool:
    return isinstance(length, int) and not isinstance(length, bool) and length >= 0


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
        except (re.error, TypeError) as error:
            yield f"regex {column.regex!r} is invalid: {error}"


def _partition(column: Column) -> Iterable[str]:
    if column.partition is not None and column.nullable:
        yield "a partition column can't be nullable"
    if column.partition is not None and column.optional:
        yield "a partition column can't be optional: its rows would have no partition"
    if isinstance(column.partition, Grain) and not column.dtype.is_time:
        yield f"partition by time needs a Date or Datetime column, not {column.dtype}"
    if column.partition is Grain.HOUR and column.dtype.name == "Date":
        yield "a Date has no hours to partition by; use a Datetime"
    if column.partition == "value" and (column.dtype.is_nested or column.dtype.name in _INEXACT):
        yield f"a {column.dtype} can't be partitioned by value; use text, integers or times"


def _optional(column: Column) -> Iterable[str]:
    if column.default is not None and not column.optional:
        yield f"default={column.default!r} fills a missing column: set optional=True"
    if column.optional and column.default is None and not column.nullable:
        yield "optional without a default is filled with null: set nullable=True or default="
    if column.unique and column.default is not None:
        yield f"default={column.default!r} would repeat in a unique column"
