"""Render schedules and their ticks as text and as entries of documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tidemill.cli.render.figures import approximate_seconds, local_time
from tidemill.core.counts import plural
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.operations.cron import clock_times

if TYPE_CHECKING:
    from tidemill.operations.schedule import Schedule
    from tidemill.project.schedules import ScheduleStatus

_EMPTY = (
    "no schedules: declare one in pyproject.toml, such as\n"
    '  [tool.tidemill.schedules.nightly]\n  cron = "0 6 * * mon-fri"'
)


def schedules_text(found: Sequence[ScheduleStatus], now: float) -> str:
    """A row for each schedule: when it is due next and why, and its last tick."""
    if not found:
        return _EMPTY
    headers = ("schedule", "next due", "in", "runs", "last tick", "ended", "because")
    rows = [
        [
            each.schedule.name,
            *_due_cells(each, now),
            ", ".join(each.schedule.stages) or "all",
            each.record.last.tick if each.record.last is not None else "-",
            _ended(each),
            each.due[0].because if each.due else each.upcoming.because,
        ]
        for each in found
    ]
    return text_table(*drop_empty_columns(headers, rows, "last tick", "ended"))


def _due_cells(status: ScheduleStatus, now: float) -> tuple[str, str]:
    if status.due:
        return f"now ({plural(len(status.due), 'tick')})", "-"
    due = status.upcoming.due
    if due is None:
        return "-", "-"
    zone = datetime.fromtimestamp(due).astimezone().tzname()
    return f"{local_time(due)} {zone}", approximate_seconds(max(0.0, due - now))


def _ended(status: ScheduleStatus) -> str:
    last = status.record.last
    if last is None:
        return "-"
    if status.last_status is None:
        return "runs" if last.run else "-"
    return f"{status.last_status} in run {last.run}"


def schedule_entry(status: ScheduleStatus) -> dict[str, Any]:
    """A schedule in a document."""
    schedule = status.schedule
    return {
        "name": schedule.name,
        "timing": schedule.timing,
        "timezone": schedule.timezone,
        "stages": schedule.stages,
        "environment": schedule.environment,
        "catch_up": schedule.catch_up,
        "catch_up_limit": schedule.limit,
        "jitter": schedule.jitter,
        "start": schedule.start,
        "end": schedule.end,
        "again": schedule.again,
        "train": schedule.train,
        "next_due": status.upcoming.due,
        "next_tick": status.upcoming.tick,
        "because": status.upcoming.because,
        "due_now": status.due,
        "paused": status.pause,
        "last": status.record.last,
        "last_status": status.last_status,
    }


def ticks_text(schedule: Schedule, ticks: Sequence[int], now: float) -> str:
    """A row for each tick: in the time zone of the schedule, in UTC, and what its clock does."""
    if not ticks:
        return f"{schedule.name} has no tick left ({schedule.timing})"
    rows = [
        (entry["local"], entry["utc"], entry["note"] or "-")
        for entry in tick_entries(schedule, ticks, now)
    ]
    headers = (f"in {schedule.timezone}", "in UTC", "note")
    return text_table(*drop_empty_columns(headers, [[*row] for row in rows], "note"))


def tick_entries(schedule: Schedule, ticks: Sequence[int], now: float) -> list[dict[str, Any]]:
    """The ticks in a document."""
    notes = _clock_notes(schedule, ticks, now)
    return [
        {
            "tick": tick,
            "local": f"{datetime.fromtimestamp(tick, schedule.zone):%a %Y-%m-%d %H:%M %z}",
            "utc": f"{datetime.fromtimestamp(tick, UTC):%Y-%m-%d %H:%M}",
            "note": note,
        }
        for tick, note in zip(ticks, notes, strict=True)
    ]


def _clock_notes(schedule: Schedule, ticks: Sequence[int], now: float) -> Iterator[str]:
    """What the clock did between a tick and the one before it, or now."""
    before = int(now)
    for tick in ticks:
        local = datetime.fromtimestamp(tick, schedule.zone)
        earlier = datetime.fromtimestamp(before, schedule.zone)
        moved = (local.utcoffset() or timedelta()) - (earlier.utcoffset() or timedelta())
        notes = []
        if moved:
            way = "forward" if moved > timedelta() else "back"
            notes.append(f"the clock went {way} by {_length(abs(moved))}")
        times = clock_times(local.replace(tzinfo=None, fold=0), schedule.zone)
        if len(times) > 1:
            which = "first" if tick == times[0] else "second"
            notes.append(f"the {which} of two {local:%H:%M}")
        yield "; ".join(notes)
        before = tick


def _length(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    return plural(minutes // 60, "hour") if minutes % 60 == 0 else plural(minutes, "minute")
