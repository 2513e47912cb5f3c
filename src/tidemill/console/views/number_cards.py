"""A number of the scorecard, in words."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.scorecard.number import NumberPoint, ScoreNumber
from tidemill.scorecard.wording import (
    beside_text,
    main_text,
    number_lines,
    target_text,
    trend_text,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCard:
    """A number as it is shown: its `value`, what is `beside` it, its `target` and whether it `is_met`."""

    name: str
    title: str
    value: str
    beside: str
    target: str
    is_met: bool | None
    trend: str
    lines: tuple[str, ...]
    action: str
    command: str
    points: tuple[NumberPoint, ...]


def number_card(number: ScoreNumber) -> NumberCard:
    """Put a number in words."""
    return NumberCard(
        name=number.name,
        title=number.title,
        value=main_text(number),
        beside="; ".join(filter(None, (beside_text(number), number.cases))),
        target=target_text(number),
        is_met=number.is_met,
        trend=trend_text(number),
        lines=tuple(number_lines(number)),
        action=number.action,
        command=number.command,
        points=number.points,
    )
