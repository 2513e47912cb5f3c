"""The values of a scorecard in words: durations, money, shares, and a sparkline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tidemill.core.counts import money_text
from tidemill.core.local_day import time_zone
from tidemill.scorecard.number import NumberUnit, ScoreNumber

NOT_AVAILABLE = "n/a"
_BARS = "▁▂▃▄▅▆▇█"
_UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def duration_text(seconds: float) -> str:
    """A duration in at most two units: `2 d 3 h`, `45 min`, `0.4 s`."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    for place, (length, unit) in enumerate(_UNITS):
        if seconds < length:
            continue
        if place + 1 == len(_UNITS):
            return f"{seconds:.0f} {unit}"
        smaller, name = _UNITS[place + 1]
        whole, rest = divmod(round(seconds / smaller), round(length / smaller))
        return f"{whole:,} {unit} {rest} {name}" if rest and whole < 10 else f"{whole:,} {unit}"
    raise AssertionError(seconds)


def moment_text(at: float, zone: str) -> str:
    """A Unix time in a time zone, to the minute; the seconds for one beyond the calendar."""
    try:
        return (
            datetime.fromtimestamp(at, UTC).astimezone(time_zone(zone)).strftime("%Y-%m-%d %H:%M")
        )
    except (OSError, OverflowError, ValueError):
        return f"{at:.0f} s"


def share_text(share: float) -> str:
    """A share in percent, which is 100 % only if nothing is missing: `99.96 %`."""
    percent = f"{100 * share:.1f}"
    if percent == "100.0" and share < 1:
        percent = f"{min(100 * share, 99.99):.2f}"
    return percent.removesuffix(".0") + " %"


def value_text(number: ScoreNumber, value: float | None, unit: NumberUnit | None = None) -> str:
    """A value of a number, such as its target, in its unit or another; "n/a" if it isn't known."""
    if value is None:
        return NOT_AVAILABLE
    wanted = unit or number.unit
    if wanted is NumberUnit.SECONDS:
        return duration_text(value)
    if wanted is NumberUnit.MONEY:
        return money_text(value, number.currency)
    return share_text(value)


def main_text(number: ScoreNumber) -> str:
    """The value of a number; one that may still grow is a lower bound."""
    return ("> " if number.value_grows else "") + value_text(number, number.value)


def beside_text(number: ScoreNumber) -> str:
    """What stands beside the value, such as the 90th percentile; "" if there is nothing."""
    if number.high is None:
        return ""
    more = "> " if number.high_grows else ""
    return f"{number.high_name} {more}{value_text(number, number.high, number.high_unit)}"


def target_text(number: ScoreNumber) -> str:
    """The target and whether it is met; "" without one."""
    if number.target is None:
        return ""
    side = ">=" if number.unit is NumberUnit.SHARE else "<="
    verdict = {True: ", met", False: ", missed", None: ""}[number.is_met]
    return f"{side} {value_text(number, number.target)}{verdict}"


def trend_text(number: ScoreNumber) -> str:
    """The value in the window before, and which way it went; "" if that isn't known."""
    if number.previous is None:
        return ""
    before = value_text(number, number.previous)
    return f"{before}, {number.trend}" if number.trend else before


def sparkline(values: Sequence[float | None]) -> str:
    """Values as bars from 0 to the largest one; a dot where there is none, "" if there are none at all."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    top = max(known)
    return "".join("·" if value is None else _BARS[_level(value, top)] for value in values)


def _level(value: float, top: float) -> int:
    if top <= 0:
        return 0
    return min(len(_BARS) - 1, max(0, int(value / top * len(_BARS))))


HEADERS = ("number", ">value", ">beside it", ">n", "before", "target", "last 8 weeks")
# Columns that are left out where no number has anything in them.
RARE_HEADERS = ("before", "target", "last 8 weeks")
_NOTHING = "-"


def number_cells(number: ScoreNumber, *, bars: bool = True) -> tuple[str, ...]:
    """A number as a row of a table under `HEADERS`; without `bars` there is no sparkline."""
    line = sparkline([point.value for point in number.points]) if bars else ""
    return (
        number.title,
        main_text(number),
        beside_text(number) or _NOTHING,
        number.cases,
        trend_text(number) or _NOTHING,
        target_text(number) or _NOTHING,
        line or _NOTHING,
    )


def number_lines(number: ScoreNumber) -> tuple[str, ...]:
    """What is said of a number beside its row: why it is missing, what is in it, and what changed most."""
    missing = (f"n/a: {number.missing}",) if number.missing else ()
    cause = (f"cause: {number.cause}",) if number.cause else ()
    return (*missing, *number.facts, *cause)
