"""What a check's operator allows a count to be: a closed range, as the standard's words have it.

`mustBeBetween: [a, b]` allows both a and b. The standard also likens it to greater than a and less than
b; its own text, "in the range", and every tool that runs it include the ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from tidemill.contracts.odcs.document import Node

OPERATORS = (
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
)

_NOTHING: tuple[tuple[str, Any], ...] = (
    *(("mustBe", 0), ("mustBeLessOrEqualTo", 0), ("mustBeBetween", [0, 0])),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """The counts from `least` to `most` that are allowed; None is no limit."""

    least: int | None = None
    most: int | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing may be counted at all."""
        return self.most == 0


def count_of(check: Node) -> Count | None:
    """What the one operator of a check allows; None when that is no range."""
    told = {name: check.peek(name) for name in OPERATORS if name in check}
    if len(told) != 1:
        return None
    ((name, value),) = told.items()
    if check.peek("unit") not in (None, "rows"):
        # Less than one percent is some rows; only nothing at all is the same in every unit.
        return Count(least=0, most=0) if (name, value) in _NOTHING else None
    if name == "mustBeBetween":
        least, most = value
        return Count(least=ceil(least), most=floor(most))
    return _count(name, value) if _is_number(value) else None


def _count(name: str, value: float) -> Count | None:
    match name:
        case "mustBe" if value == floor(value):
            return Count(least=int(value), most=int(value))
        case "mustBeGreaterThan":
            return Count(least=floor(value) + 1)
        case "mustBeGreaterOrEqualTo":
            return Count(least=ceil(value))
        case "mustBeLessThan":
            return Count(most=ceil(value) - 1)
        case "mustBeLessOrEqualTo":
            return Count(most=floor(value))
        case "mustNotBe" if value == 0:
            return Count(least=1)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 63


def said(check: Node) -> str:
    """`mustBeLessThan 5 percent`, for what is listed."""
    told = [f"{name} {check.peek(name)}" for name in OPERATORS if name in check]
    unit = check.peek("unit")
    return " and ".join(told) + (f" {unit}" if unit else "")
