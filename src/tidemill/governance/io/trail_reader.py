"""Tell events as entries of the audit trail, in any order."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.audit_trail import AuditEntry, audit_entry
from tidemill.ledger.event import RecordedEvent, RunStarted
from tidemill.ledger.event_filter import EventFilter
from tidemill.ledger.event_subjects import run_subject, waiver_subject
from tidemill.ledger.governance_events import Waived, WaiverEnded
from tidemill.ports.ledger import Ledger


class TrailReader:
    """Looks up what only an earlier event says of an entry: who started a run, and which rule was waived."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._starters: dict[str, str] = {}

    def entry(self, fact: RecordedEvent) -> AuditEntry:
        """An event as an entry."""
        entry = audit_entry(fact, {}, {})
        if isinstance(fact.event, WaiverEnded):
            where = EventFilter(about=waiver_subject(fact.event.waiver), before=fact.seq)
            waived = self._last(Waived.__name__, where)
            return entry if waived is None else replace(entry, subject=waived.subject)
        if entry.run and not entry.who and not isinstance(fact.event, RunStarted):
            return replace(entry, who=self._starter(entry.run))
        return entry

    def _starter(self, run: str) -> str:
        if run not in self._starters:
            started = self._last(RunStarted.__name__, EventFilter(about=run_subject(run)))
            self._starters[run] = started.who if started is not None else ""
        return self._starters[run]

    def _last(self, kind: str, where: EventFilter) -> AuditEntry | None:
        for fact in self._ledger.events(kinds=(kind,), where=where, newest=True, limit=1):
            return audit_entry(fact, {}, {})
        return None
