"""How a column of a contract is decoded from JSON without Polars: its msgspec type and further checks.

A form never accepts what the contract refuses. It may refuse what the contract accepts (1.0 for an integer,
text for a number): the contract's own checker decides then. Columns whose values can't be decided this way
have no JSON type.
"""

from __future__ import annotations

import math
import operator
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from functools import partial
from typing import Annotated, Any, Literal, Optional, TypeAlias

from msgspec import Meta

from tidemill.contracts.column import Column
from tidemill.contracts.text_format import DAMAGED
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.ascii_pattern import LONGEST, ascii_matcher

# The most values of a column that are matched with a pattern in Python.
_MOST_MATCHED = 2_000
# Takes the values of a column as they were decoded, and returns them in the column's type.
Convert: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
# Takes a value that isn't null; returns it in the column's type.
_ConvertOne: TypeAlias = Callable[[Any], Any]


class Undecided(Exception):
    """The contract's checker must decide whether a value is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnForm:
    """The decoding of one column.

    `json_type` is None if JSON of this column is always left to the checker. `holds_text` says whether its
    values may have colons, or marks of damaged cells.
    """

    column: Column
    json_type: Any = None
    convert: Convert | None = None
    holds_text: bool = False


def column_form(column: Column) -> ColumnForm:
    """Return how a column is decoded."""
    name = column.dtype.name
    # Words for missing values and formats are about text: the checker reads it.
    if column.text.formats:
        return ColumnForm(column=column)
    find = _integers if column.dtype.integer_range is not None else _FORMS.get(name)
    found = None if find is None else find(column)
    if found is None:
        return ColumnForm(column=column)
    json_type, checks = found
    convert = _of_column(checks, nullable=column.nullable)
    if column.regex is not None and convert is not None:
        convert = partial(_convert_few, convert)
    return ColumnForm(
        column=column,
        json_type=Optional[json_type] if column.nullable else json_type,  # noqa: UP045
        convert=convert,
        holds_text=name in ("String", "Categorical", "Enum", "Date", "Datetime", "Time"),
    )


def _convert_few(convert: Convert, values: Sequence[Any]) -> Sequence[Any]:
    """Leave many values with a pattern to Polars, which matches in linear time."""
    if len(values) > _MOST_MATCHED:
        raise Undecided
    return convert(values)


# A JSON type, and the conversions of its values; None if only the checker can decide.
_TypeAndChecks: TypeAlias = "tuple[Any, list[_ConvertOne]] | None"


def _of_column(checks: Sequence[_ConvertOne], *, nullable: bool) -> Convert | None:
    """Combine the conversions of single values to one of columns."""
    if not checks:
        return None

    def convert_one(value: Any) -> Any:
        for check in checks:
            value = check(value)
        return value

    one = checks[0] if len(checks) == 1 else convert_one

    def convert(values: Sequence[Any]) -> list[Any]:
        return [one(value) for value in values]

    def convert_nullable(values: Sequence[Any]) -> list[Any]:
        return [None if value is None else one(value) for value in values]

    return convert_nullable if nullable else convert


def _refuse_unless(passes: Callable[[Any], object]) -> _ConvertOne:
    def check(value: Any) -> Any:
        if passes(value):
            return value
        raise Undecided

    return check


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}


def _bounds(column: Column) -> dict[str, Any]:
    """Return the bounds of a column by the names of `_ORDER`, which are msgspec's."""
    found = {
        "ge": column.min,
        "gt": column.min_exclusive,
        "le": column.max,
        "lt": column.max_exclusive,
    }
    return {term: bound for term, bound in found.items() if bound is not None}


def _integers(column: Column) -> _TypeAndChecks:
    assert column.dtype.integer_range is not None
    low, high = column.dtype.integer_range
    for term, bound in _bounds(column).items():
        if not _is_finite(bound):
            return None
        match term:
            case "ge":
                low = max(low, math.ceil(bound))
            case "gt":
                low = max(low, math.floor(bound) + 1)
            case "le":
                high = min(high, math.floor(bound))
            case _:
                high = min(high, math.ceil(bound) - 1)
    checks = [*_allowed(column, int), *_not_missing_number(column)]
    if all(-1 << 63 <= limit < 1 << 63 for limit in (low, high)):
        return Annotated[int, Meta(ge=low, le=high)], checks
    # The limits of msgspec are integers of 64 bits.
    return int, [_refuse_unless(lambda value: low <= value <= high), *checks]


def _within(kind: type, terms: Mapping[str, Any]) -> Any:
    """Return a type whose values keep these terms."""
    return Annotated[kind, Meta(**terms)] if terms else kind


def _is_finite(bound: Any) -> bool:
    return isinstance(bound, int) or math.isfinite(bound)


def _floats(column: Column) -> _TypeAndChecks:
    terms: dict[str, float] = {}
    for term, bound in _bounds(column).items():
        if not _is_finite(bound) or float(bound) != bound:
            return None
        terms[term] = float(bound)
    checks = [*_not_missing_number(column)]
    if column.dtype.name == "Float32":
        checks.append(partial(_narrow, tuple(terms.items())))
        terms = {}
    checks += _allowed(column, float)
    return _within(float, terms), checks


_single = struct.Struct("<f")


def nearest_single(value: float) -> float:
    """Return the nearest 32-bit float; OverflowError if there is none."""
    found: float = _single.unpack(_single.pack(value))[0]
    return found


def _narrow(bounds: Sequence[tuple[str, float]], value: float) -> float:
    """Return the nearest 32-bit float, if reading the text of the number gives the same one."""
    try:
        narrow = nearest_single(value)
        if narrow != value:
            # A number halfway between two floats may have been rounded to it before.
            other = 2 * value - narrow
            if nearest_single(other) == other:
                raise Undecided
        for term, bound in bounds:
            # Polars compares with the bound in the column's type.
            compare = _ORDER[term]
            if not (compare(narrow, bound) and compare(narrow, nearest_single(bound))):
                raise Undecided
    except OverflowError:
        raise Undecided from None
    return narrow


def _allowed(column: Column, kind: Callable[[Any], Any]) -> list[_ConvertOne]:
    if column.isin is None:
        return []
    allowed = frozenset(kind(item) for item in column.isin if isinstance(item, int | float))
    if column.dtype.name == "Float32":
        allowed = frozenset(map(nearest_single, allowed))
    return [_refuse_unless(allowed.__contains__)]


def _not_missing_number(column: Column) -> list[_ConvertOne]:
    """Leave numbers that are words for missing values, such as -999, to the checker."""
    numbers = {number for word in column.text.null_values or () for number in _number(word)}
    return [_refuse_unless(lambda value: value not in numbers)] if numbers else []


def _number(word: str) -> Iterable[float]:
    try:
        yield float(word.strip())
    except ValueError:
        return


def _booleans(column: Column) -> _TypeAndChecks:
    checks = []
    if column.isin is not None:
        checks.append(_refuse_unless(frozenset(column.isin).__contains__))
    words = {word.lower() for word in column.text.null_values or ()}
    if words & {"true", "false", "1", "0"}:
        return None
    return bool, checks


def _texts(column: Column) -> _TypeAndChecks:
    missing = frozenset(column.text.null_values or ())
    if column.dtype.name == "Enum" or column.isin is not None:
        listed = column.dtype.args if column.dtype.name == "Enum" else column.isin
        allowed = None if column.isin is None else frozenset(column.isin)
        words = dict.fromkeys(
            word
            for word in listed or ()
            if isinstance(word, str)
            and (allowed is None or word in allowed)
            and word not in missing
            and not word.startswith(DAMAGED)
            and _has_length(column, word)
        )
        if not words or not all(map(_is_unicode, words)):
            return None
        checks = _matches(column)
        return None if checks is None else (Literal[tuple(words)], checks)
    checks = _matches(column)
    if checks is None:
        return None
    if missing:
        checks.insert(0, _refuse_unless(lambda word: word not in missing))
    lengths = {
        name: limit
        for name in ("min_length", "max_length")
        if (limit := getattr(column, name)) is not None
    }
    return _within(str, lengths), checks


def _is_unicode(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _has_length(column: Column, word: str) -> bool:
    least, most = column.min_length or 0, column.max_length
    return least <= len(word) and (most is None or len(word) <= most)


def _matches(column: Column) -> list[_ConvertOne] | None:
    if column.regex is None:
        return []
    search = ascii_matcher(column.regex)
    if search is None:
        return None

    def passes(value: str) -> bool:
        return len(value) <= LONGEST and value.isascii() and search(value) is not None

    return [_refuse_unless(passes)]


_DAY = r"(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
_DIGITS = {"ms": 3, "us": 6, "ns": 6}


def _dates(column: Column) -> _TypeAndChecks:
    return _times(column, rf"^{_DAY}\Z", date.fromisoformat)


def _datetimes(column: Column) -> _TypeAndChecks:
    unit, zone = str(column.dtype.args[0]), column.dtype.args[1]
    if unit == "ms" and any(
        isinstance(bound, datetime) and bound.microsecond % 1000
        for bound in (column.min, column.max, column.min_exclusive, column.max_exclusive)
    ):
        return None
    fraction = rf"(?:\.[0-9]{{1,{_DIGITS[unit]}}})?"
    written = rf"^{_DAY}T{_CLOCK}{fraction}{_OFFSET if zone else ''}\Z"
    return _times(column, written, datetime.fromisoformat)


def _clocks(column: Column) -> _TypeAndChecks:
    return _times(column, rf"^{_CLOCK}(?:\.[0-9]{{1,6}})?\Z", time.fromisoformat)


def _times(column: Column, written: str, read: Callable[[str], Any]) -> _TypeAndChecks:
    """Read times of one form that Python and the contract read alike."""
    if column.text.null_values:
        return None
    search = re.compile(written).search
    bounds = [(_ORDER[term], bound) for term, bound in _bounds(column).items()]
    allowed = None if column.isin is None else frozenset(column.isin)

    def convert(text: str) -> Any:
        if search(text) is None:
            raise Undecided
        try:
            value = read(text)
        except ValueError:
            raise Undecided from None
        for compare, bound in bounds:
            if not compare(value, bound):
                raise Undecided
        if allowed is not None and value not in allowed:
            raise Undecided
        return value

    return str, [convert]


_FORMS: Mapping[str, Callable[[Column], _TypeAndChecks]] = {
    "Float32": _floats,
    "Float64": _floats,
    "Boolean": _booleans,
    "String": _texts,
    "Categorical": _texts,
    "Enum": _texts,
    "Date": _dates,
    "Datetime": _datetimes,
    "Time": _clocks,
}
