"""The events since a time are found from the end, also if the clock was set back once."""

from collections.abc import Iterator

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.recent_events import events_since
from tidemill.ledger.schedule_events import Ticked


def facts(*times: float) -> Iterator[RecordedEvent]:
    for seq, at in enumerate(times):
        yield RecordedEvent(seq=seq, at=at, event=Ticked(schedule="s", tick=str(seq)))


def test_older_events_are_passed_over_until_there_are_too_many() -> None:
    times = (9.0, 1.0, 2.0, 8.0, 3.0, 3.0, 3.0, 9.0)
    found = [fact.seq for fact in events_since(facts(*times), 5.0, patience=3)]
    assert found == [0, 3]
    assert [fact.seq for fact in events_since(facts(*times), 5.0)] == [0, 3, 7]
    assert [*events_since(facts(), 5.0)] == []


def test_no_more_is_read_than_needed() -> None:
    read = facts(9.0, 1.0, 1.0, 1.0)
    assert [fact.at for fact in events_since(read, 5.0, patience=2)] == [9.0]
    assert next(read).seq == 3
