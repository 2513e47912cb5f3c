"""Sample records of schedules."""

from __future__ import annotations

from tidemill.ledger.event import Event
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
)


def schedule_events() -> list[Event]:
    """A schedule that is declared, paused and resumed."""
    return [
        ScheduleChanged(schedule="hourly", declared="0 * * * * in UTC", actor="ana"),
        SchedulePaused(schedule="hourly", actor="ana", until=900.0, reason="the source moves"),
        ScheduleResumed(schedule="hourly", actor="ben", reason="it has moved"),
    ]
