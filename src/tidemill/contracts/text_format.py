"""Describe how the text of a cell is read: formats of times, decimal commas, words for true and missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from tidemill.contracts.dtype import DType
from tidemill.core.lazy_dataclass import dataclass

# Begins a cell of a text file that is no value of any type, not even text. Unicode reserves such characters
# for internal use; the checker removes them from what it returns.
DAMAGED = "\ufdd0"
# In CSV, a line with more fields than the header; in JSON, text with half of a surrogate pair.
SURPLUS_FIELDS, NOT_UNICODE = f"{DAMAGED}\ufdd1", f"{DAMAGED}\ufdd2"

Cells: TypeAlias = Literal["", "csv", "json"]

_OFFSETS = ("%z", "%:z", "%::z", "%:::z", "%#z", "%+", "%s")
_CLOCK = re.compile(r"%[-_0]?[HkIlMSTRrXcp+sPf]|%\.")
_THOUSANDS = (",", ".", " ", "'", "\u2019", "_", "\u00a0", "\u202f")
_NUMBERS = "tm.Int64, tm.Float64 or tm.Decimal"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """How the text of a cell is read; None means that it isn't declared.

    `formats` are tried in their order. `time_zone` is the zone of local times in the text. `cells` is the
    kind of the text file that the cell comes from: there, blanks around a value have no meaning, and an
    empty cell is missing unless the column holds text.
    """

    formats: tuple[str, ...] = ()
    time_zone: str | None = None
    decimal_comma: bool | None = None
    thousands: str | None = None
    true_values: tuple[str, ...] | None = None
    false_values: tuple[str, ...] | None = None
    null_values: tuple[str, ...] | None = None
    cells: Cells = ""

    def over(self, other: TextFormat) -> TextFormat:
        """Return this format, with what it doesn't declare taken from another one."""
        more = {
            name: getattr(other, name)
            for name in self.__slots__
            if getattr(self, name) in (None, (), "")
        }
        return replace(self, **more)


AS_STORED = TextFormat()


def has_offset(form: str) -> bool:
    """Whether a format reads an offset from UTC, so that it determines a moment."""
    return any(mark in form for mark in _OFFSETS)


def has_clock(form: str) -> bool:
    """Whether a format reads a time of day."""
    return _CLOCK.search(form) is not None


def format_problems(text: TextFormat, dtype: DType) -> Iterable[str]:
    """Yield a sentence for each contradiction between a format and the type of its column."""
    yield from _time_problems(text.formats, dtype)
    if text.thousands is not None and text.thousands not in _THOUSANDS:
        yield f"thousands={text.thousands!r} is none of {', '.join(map(repr, _THOUSANDS))}"
    elif text.thousands == ("," if text.decimal_comma else "."):
        other = "choose another separator" if text.decimal_comma else "add decimal_comma=True"
        yield f"thousands={text.thousands!r} is also the decimal separator: {other}"
    if (text.decimal_comma or text.thousands) and not dtype.is_number:
        yield f"decimal_comma and thousands on a {dtype}: only numbers have them ({_NUMBERS})"
    if (text.true_values or text.false_values) and dtype.name != "Boolean":
        yield f"true_values and false_values on a {dtype}: only tm.Bool has them"
    both = {*map(str.lower, text.true_values or ())} & {*map(str.lower, text.false_values or ())}
    if both:
        yield f"{', '.join(map(repr, sorted(both)))} can't mean both true and false"


def _time_problems(formats: tuple[str, ...], dtype: DType) -> Iterable[str]:
    if formats and dtype.name not in ("Date", "Datetime", "Time"):
        yield f"format={formats[0]!r} on a {dtype}: only tm.Date, tm.Datetime and tm.Time have one"
        return
    for form in formats:
        if "%" not in form:
            yield f"format={form!r} is not a format of times, such as '%d.%m.%Y'"
        elif has_offset(form) and dtype.name == "Datetime" and dtype.args[1] is None:
            yield f"format={form!r} reads an offset from UTC: declare time_zone='UTC' or another"


def words(given: object, name: str) -> tuple[str, ...] | None:
    """Return words that an argument lists, or is; TypeError if it is neither."""
    if given is None:
        return None
    found = (given,) if isinstance(given, str) else given
    if not isinstance(found, Iterable) or isinstance(found, bytes | dict):
        raise TypeError(f"{name}={given!r} is not text or a list of texts")
    listed = tuple(found)
    if not all(isinstance(word, str) for word in listed):
        raise TypeError(f"{name}={given!r} is not text or a list of texts")
    return listed
