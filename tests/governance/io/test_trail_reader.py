"""Entries that are told one by one are those of the whole trail."""

from tidemill.governance.audit_trail import TrailFilter, audit_entries
from tidemill.governance.io.trail_reader import TrailReader
from tidemill.ledger.event import RecordedEvent, RunEnded
from tidemill.ledger.governance_events import WaiverEnded
from tidemill.ledger.run import Status
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import events_of_every_kind


def test_entries_are_those_of_the_trail_in_any_order() -> None:
    ledger = MemoryLedger()
    ledger.append(events_of_every_kind(), now=1.0)
    expected = [*audit_entries(ledger.events(), TrailFilter())]
    reader = TrailReader(ledger)
    assert [reader.entry(fact) for fact in ledger.events(newest=True)] == expected[::-1]
    by_seq = {entry.seq: entry for entry in expected}
    ended = next(fact for fact in ledger.events(kinds=("RunEnded",)))
    assert by_seq[ended.seq].who == "tern"
    waiver = next(fact for fact in ledger.events(kinds=("WaiverEnded",)))
    assert "owner" in by_seq[waiver.seq].subject


def test_what_no_earlier_event_tells_stays_empty() -> None:
    ended = RecordedEvent(seq=1, at=1.0, event=RunEnded(run="run-9", status=Status.LOST))
    waived = RecordedEvent(
        seq=2, at=1.0, event=WaiverEnded(environment="prod", waiver="w9", actor="ana")
    )
    reader = TrailReader(MemoryLedger())
    assert (reader.entry(ended).who, reader.entry(waived).subject) == ("", "w9")
