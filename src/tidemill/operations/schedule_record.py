"""Derive from events what the ledger knows of each schedule."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import replace

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.schedule_events import (
    SCHEDULE_EVENTS,
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)
from tidemill.operations.schedule import (
    MOST_KEPT,
    LastTick,
    ScheduleDeclaration,
    SchedulePause,
    ScheduleRecord,
    parse_tick,
)

# The kinds of events that records are derived from.
SCHEDULE_KINDS = tuple(kind.__name__ for kind in SCHEDULE_EVENTS)


def updated_records(
    known: Mapping[str, ScheduleRecord], facts: Iterable[RecordedEvent]
) -> dict[str, ScheduleRecord]:
    """The records of schedules by name, after further events in the order of the ledger."""
    found = dict(known)
    for fact in facts:
        event = fact.event
        if isinstance(event, Ticked | ScheduleChanged | SchedulePaused | ScheduleResumed):
            found[event.schedule] = _updated(
                found.get(event.schedule, ScheduleRecord()), event, fact.at
            )
    return found


def _updated(
    record: ScheduleRecord,
    event: Ticked | ScheduleChanged | SchedulePaused | ScheduleResumed,
    at: float,
) -> ScheduleRecord:
    if isinstance(event, Ticked):
        return _with_tick(record, event, at)
    if isinstance(event, ScheduleChanged):
        return _with_declaration(record, event, at)
    if isinstance(event, SchedulePaused):
        pause = SchedulePause(at=at, actor=event.actor, until=event.until, reason=event.reason)
        return replace(record, pause=pause)
    return replace(record, pause=None, resumed=at)


def _with_declaration(record: ScheduleRecord, event: ScheduleChanged, at: float) -> ScheduleRecord:
    """The record with what one copy of the project declares; others keep what they declare."""
    found = {place: one for place, one in record.declarations.items() if place != event.place}
    if event.declared:
        # A copy continues what another one declares in the same way.
        known = record.since(event.declared)
        since = at if known is None else min(at, known)
        # What was recorded without a place was of this project, wherever it was.
        found = {place: one for place, one in found.items() if place}
        found[event.place] = ScheduleDeclaration(declared=event.declared, since=since)
    return replace(record, declarations=found)


def _with_tick(record: ScheduleRecord, event: Ticked, at: float) -> ScheduleRecord:
    last = LastTick(tick=event.tick, run=event.run or "", at=at, missed=event.missed)
    time = parse_tick(event.tick)
    if time is None:
        return replace(record, last=last)
    ticks = [*record.ticks]
    insort(ticks, time)
    return replace(record, ticks=tuple(ticks[-MOST_KEPT:]), last=last)
