"""Every event reads as who did what, to what, and why."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tidemill.core.errors import UsageError
from tidemill.governance.audit_trail import TRAIL_KINDS, AuditEntry, TrailFilter, audit_entries
from tidemill.ledger.event import EVENTS, Event, RecordedEvent, RunEnded, RunStarted
from tidemill.ledger.governance_events import Waived
from tidemill.ledger.run import Status
from tidemill.testing.records import events_of_every_kind

EVERY = events_of_every_kind()
WAIVER = next(event.waiver for event in EVERY if isinstance(event, Waived))


def facts(events: Sequence[Event]) -> list[RecordedEvent]:
    return [RecordedEvent(seq=seq, at=float(seq), event=e) for seq, e in enumerate(events, 1)]


def trail(**wanted: object) -> list[AuditEntry]:
    return [*audit_entries(facts(EVERY), TrailFilter(**wanted))]  # type: ignore[arg-type]


def test_every_kind_of_event_has_an_entry() -> None:
    entries = trail()
    assert [entry.kind for entry in entries] == [type(event).__name__ for event in EVERY]
    assert {entry.kind for entry in entries} == {kind.__name__ for kind in EVENTS}
    assert all(entry.action for entry in entries)
    assert {*TRAIL_KINDS} <= {entry.kind for entry in entries}


@pytest.mark.parametrize(
    ("kind", "who", "action", "subject", "reason"),
    [
        ("Attempted", "tern", "attempted", "features 2013-03-07", ""),
        ("EffectQueued", "", "effect queued", "scored_flights 2013-03-07", ""),
        ("Voted", "ben", "voted approve", "review r1", "seen the slices"),
        (
            "WaiverEnded",
            "ana",
            "ended a waiver",
            f"{WAIVER.rule} for {WAIVER.scope} (w1)",
            "has an owner",
        ),
        ("Waived", WAIVER.actor, "waived", f"{WAIVER.rule} for {WAIVER.scope} (w1)", WAIVER.reason),
        ("ReviewClosed", "", "review superseded", "review r1", ""),
        ("EnvironmentDropped", "", "dropped an environment", "gone", ""),
    ],
)
def test_how_an_event_reads(kind: str, who: str, action: str, subject: str, reason: str) -> None:
    entry = next(entry for entry in trail() if entry.kind == kind)
    assert (entry.who, entry.action, entry.subject, entry.reason) == (who, action, subject, reason)


def test_the_end_of_a_run_names_who_started_it() -> None:
    started = RunStarted(
        run="r", environment="prod", command="tidemill run", holder={"user": "ana"}, steps=1
    )
    ended = RunEnded(run="r", status=Status.OK)
    first, last = audit_entries(facts([started, ended]), TrailFilter())
    assert (first.who, first.reason) == ("ana", "`tidemill run`, 1 step")
    assert (last.who, last.action) == ("ana", "ended a run: ok")


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({"who": "ana"}, None),
        ({"who": "nobody"}, 0),
        ({"what": "voted*"}, 1),
        ({"what": "ended a waiver"}, 1),
        ({"since": 3.0, "until": 5.0}, 3),
    ],
)
def test_entries_can_be_chosen(wanted: dict[str, object], count: int | None) -> None:
    found = trail(**wanted)
    if count is None:
        assert found
        assert all("ana" in entry.who for entry in found)
    else:
        assert len(found) == count


@pytest.mark.parametrize("name", ["who", "what"])
def test_a_pattern_has_a_length(name: str) -> None:
    assert trail(**{name: "[" * 199 + "*"}) == []
    with pytest.raises(
        UsageError, match=f"^{name} has 15,001 characters: a pattern has at most 200$"
    ):
        TrailFilter(**{name: "[" * 15_000 + "*"})  # type: ignore[arg-type]
