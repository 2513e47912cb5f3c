"""A duty of the supervisor: what it does next, when, and why."""

from __future__ import annotations

from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds


class DutyTask(StrEnum):
    """The kinds of work that the supervisor gives to processes."""

    RUN = "run"
    OFF_PEAK = "off-peak"
    UPKEEP = "upkeep"
    SERVE = "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A task that is due at a time (Unix seconds) for a reason; `at` is None while it is being done."""

    task: DutyTask
    because: str
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A time (Unix seconds) at which a schedule, a trigger or a deadline asks for a task."""

    task: DutyTask
    at: float
    because: str


def describe_wait(seconds: float) -> str:
    """A length of time in words, such as "in 5 min"; "now" if it is over."""
    if seconds <= 0:
        return "now"
    for name, unit in (("d", "1d"), ("h", "1h"), ("min", "1m")):
        length = parse_seconds(unit)
        if seconds >= length:
            return f"in {seconds / length:.0f} {name}"
    return f"in {seconds:.0f} s"
