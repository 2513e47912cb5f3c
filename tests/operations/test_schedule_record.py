"""What the ledger knows of a schedule follows from its events, in any portions."""

from __future__ import annotations

from tidemill.ledger.event import Event, RecordedEvent, RunEnded
from tidemill.ledger.run import Status
from tidemill.ledger.schedule_events import (
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
)
from tidemill.operations.schedule_record import SCHEDULE_KINDS, updated_records

CHANGED = ScheduleChanged(schedule="nightly", declared="0 2 * * * in UTC")
TICKED = Ticked(schedule="nightly", tick="1970-01-02T02:00Z", run="run-1", missed=2)
PAUSED = SchedulePaused(schedule="nightly", actor="ana", until=9.0, reason="moving")


def records(*events: Event) -> dict[str, ScheduleRecord]:
    facts = [RecordedEvent(seq=seq, at=10.0 * seq, event=e) for seq, e in enumerate(events, 1)]
    whole = updated_records({}, facts)
    known: dict[str, ScheduleRecord] = {}
    for fact in facts:
        known = updated_records(known, [fact])
    assert whole == known
    return whole


def test_a_record_has_the_newest_declaration_tick_and_pause() -> None:
    found = records(
        CHANGED, TICKED, PAUSED, RunEnded(run="run-1", status=Status.OK),
        ScheduleChanged(schedule="other", declared=""),
    )  # fmt: skip
    assert found["nightly"] == ScheduleRecord(
        declarations={"": ScheduleDeclaration(declared="0 2 * * * in UTC", since=10.0)},
        ticks=(93_600.0,),
        last=LastTick(tick="1970-01-02T02:00Z", run="run-1", at=20.0, missed=2),
        pause=SchedulePause(at=30.0, actor="ana", until=9.0, reason="moving"),
    )
    assert found["other"] == ScheduleRecord()
    assert SCHEDULE_KINDS == ("Ticked", "ScheduleChanged", "SchedulePaused", "ScheduleResumed")


def test_copies_of_a_project_declare_schedules_of_their_own() -> None:
    def declare(declared: str, place: str) -> ScheduleChanged:
        return ScheduleChanged(schedule="nightly", declared=declared, place=place)

    (found,) = records(
        declare("old", ""), declare("A", "/a"), declare("B", "/b"), declare("A", "/b"),
        declare("A", "/c"), declare("", "/a"),
    ).values()  # fmt: skip
    # Who declares it as another one does continues it; what that one does later changes nothing.
    assert found.declarations == {
        "/b": ScheduleDeclaration(declared="A", since=20.0),
        "/c": ScheduleDeclaration(declared="A", since=20.0),
    }
    assert (found.since("A"), found.since("B"), found.since("old")) == (20.0, None, None)
    # What was recorded before places were is continued.
    (found,) = records(declare("A", ""), declare("A", "/a"), declare("B", "/a")).values()
    assert found.declarations == {"/a": ScheduleDeclaration(declared="B", since=30.0)}


def test_a_resumed_schedule_isnt_paused() -> None:
    (found,) = records(PAUSED, ScheduleResumed(schedule="nightly", actor="ben")).values()
    assert (found.pause, found.resumed) == (None, 20.0)


def test_ticks_are_in_order_and_bounded() -> None:
    early, odd = (
        Ticked(schedule="nightly", tick=tick) for tick in ("1970-01-01T01:00Z", "2013-03")
    )
    (found,) = records(TICKED, early, odd).values()
    assert found.ticks == (3_600.0, 93_600.0)
    assert found.last == LastTick(tick="2013-03", run="", at=30.0)
    many = [Ticked(schedule="nightly", tick=f"{2000 + n}-01-01T00:00Z") for n in range(1_200)]
    (found,) = records(*many).values()
    assert len(found.ticks) == MOST_KEPT
