"""Read from the ledger what it knows of schedules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.core.errors import ConflictError
from tidemill.ledger.event import RecordedEvent, RunEnded
from tidemill.ledger.event_filter import EventFilter, about
from tidemill.ledger.event_subjects import schedule_subject
from tidemill.ledger.run import Status
from tidemill.ledger.schedule_events import ScheduleChanged, Ticked
from tidemill.operations.schedule import MOST_KEPT, ScheduleRecord
from tidemill.operations.schedule_record import SCHEDULE_KINDS, updated_records
from tidemill.ports.ledger import Ledger


class ScheduleReader:
    """Reads the records of schedules: first the newest ticks of each, then only what is new."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._records: dict[str, ScheduleRecord] = {}
        self._seq = 0

    def records(self) -> Mapping[str, ScheduleRecord]:
        """The records of all schedules that the ledger knows, by name."""
        facts = self._new_facts() if self._seq else self._first_facts()
        if facts:
            self._seq = facts[-1].seq
            self._records = updated_records(self._records, facts)
        return self._records

    def status_of(self, run: str) -> Status | None:
        """How a run ended; None if it hasn't, or isn't known."""
        ended = [fact.event for fact in self._ledger.events(kinds=(RunEnded.__name__,), run=run)]
        return next((event.status for event in ended if isinstance(event, RunEnded)), None)

    def _new_facts(self) -> list[RecordedEvent]:
        return [*self._ledger.events(kinds=SCHEDULE_KINDS, after=self._seq)]

    def _first_facts(self) -> list[RecordedEvent]:
        """All events up to now but old ticks, in order."""
        newest = [*self._ledger.events(kinds=SCHEDULE_KINDS, newest=True, limit=1)]
        if not newest:
            return []
        before = newest[0].seq + 1
        rare = [kind for kind in SCHEDULE_KINDS if kind != Ticked.__name__]
        found = [*self._ledger.events(kinds=rare, where=EventFilter(before=before))]
        declared = {f.event.schedule for f in found if isinstance(f.event, ScheduleChanged)}
        ticks = (fact for name in declared for fact in self._newest_ticks(name, before))
        return sorted((*found, *ticks), key=lambda fact: fact.seq)

    def _newest_ticks(self, schedule: str, before: int) -> Iterator[RecordedEvent]:
        where = EventFilter(before=before, about=schedule_subject(schedule))
        yield from self._ledger.events(
            kinds=(Ticked.__name__,), where=where, newest=True, limit=MOST_KEPT
        )


def require_new_tick(ledger: Ledger, tick: Ticked) -> None:
    """Raise ConflictError if a run consumed the tick of a schedule."""
    where = about(schedule_subject(tick.schedule, tick.tick))
    for fact in ledger.events(kinds=(Ticked.__name__,), where=where):
        run = fact.event.run if isinstance(fact.event, Ticked) else None
        by = f" by run {run}" if run else ""
        raise ConflictError(f"the tick {tick.tick} of {tick.schedule} was run already{by}")
