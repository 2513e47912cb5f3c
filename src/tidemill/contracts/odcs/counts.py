"""Translate the operator of a quality check to the closed range of counts that it allows.

`mustBeBetween: [a, b]` includes a and b. The standard also compares it to greater than a and less than b,
but its text ("in the range") and all tools that run it include the ends.
"""

from __future__ import annotations

from math import ceil, floor
from typing import Any

from tidemill.contracts.odcs.document import DocumentNode
from tidemill.core.lazy_dataclass import dataclass

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
class CountRange:
    """A range of allowed counts, from `least` to `most`; None means no limit."""

    least: int | None = None
    most: int | None = None

    @property
    def is_zero(self) -> bool:
        """Whether only a count of 0 is allowed."""
        return self.most == 0


def count_of(check: DocumentNode) -> CountRange | None:
    """Return the range that the single operator of a check allows; None if there is no such range."""
    operators = {name: check.peek(name) for name in OPERATORS if name in check}
    if len(operators) != 1:
        return None
    ((name, value),) = operators.items()
    if check.peek("unit") not in (None, "rows"):
        # A percentage depends on the number of rows; only 0 is the same in every unit.
        return CountRange(least=0, most=0) if (name, value) in _NOTHING else None
    if name == "mustBeBetween":
        least, most = value
        return CountRange(least=ceil(least), most=floor(most))
    return _count(name, value) if _is_number(value) else None


def _count(name: str, value: float) -> CountRange | None:
    match name:
        case "mustBe" if value == floor(value):
            return CountRange(least=int(value), most=int(value))
        case "mustBeGreaterThan":
            return CountRange(least=floor(value) + 1)
        case "mustBeGreaterOrEqualTo":
            return CountRange(least=ceil(value))
        case "mustBeLessThan":
            return CountRange(most=ceil(value) - 1)
        case "mustBeLessOrEqualTo":
            return CountRange(most=floor(value))
        case "mustNotBe" if value == 0:
            return CountRange(least=1)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 63


def format_operators(check: DocumentNode) -> str:
    """Format the operators of a check for a message, such as `mustBeLessThan 5 percent`."""
    operators = [f"{name} {check.peek(name)}" for name in OPERATORS if name in check]
    unit = check.peek("unit")
    return " and ".join(operators) + (f" {unit}" if unit else "")
