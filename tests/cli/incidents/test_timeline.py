"""The timeline of an incident as text."""

from __future__ import annotations

from dataclasses import replace

from tidemill.cli.incidents.timeline import timeline_text
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.incident import ClosingReason, IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.alerts import SentAlert
from tidemill.operations.incident import IncidentState, fold_incidents
from tidemill.testing.incident_records import (
    consequence,
    incident,
    incident_cause,
    incident_events,
)


def state_of(*events: Event) -> IncidentState:
    facts = [RecordedEvent(seq=n, at=120.0 + n, event=e) for n, e in enumerate(events, 1)]
    [state] = fold_incidents(facts).values()
    return state


def texts(state: IncidentState, now: float = 1_000.0) -> list[str]:
    """The lines without their times, which are local."""
    sent = [("oncall", SentAlert(at=125.5, about=1, kind="opened"))]
    text = timeline_text(state, sent, "ops", now)
    return [line[21:] if line[:4].isdigit() else line for line in text.splitlines()]


def test_all_that_happened_is_in_order() -> None:
    grew = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.GREW, since=1.0,
        consequences=tuple(consequence(f"s{n}") for n in range(9)),
    )  # fmt: skip
    first, *rest = incident_events()
    lines = texts(state_of(first, grew, *rest))
    assert lines[0] == "i1 [page] features failed 3 times"
    assert lines[1:3] == ["closed: fixed; it lasted 100 s", "owner: ops"]
    happened = lines[lines.index("") + 1 :]
    assert happened[:2] == ["it began", "opened: features failed 3 times"]
    assert happened[2:5] == [
        "9 consequences more", "worse: page", "because: features failed 3 times",
    ]  # fmt: skip
    assert happened[5:] == ["alert to oncall: opened", "closed: fixed"]
    assert "9 consequences: s0, s1, s2, s3, s4, s5, s6, s7 and 1 more" in lines


def test_an_incident_that_lasts() -> None:
    opened = IncidentOpened(environment="prod", incident=replace(incident(), actor="ana"))
    recovering = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.RECOVERING, since=130.0
    )
    lines = texts(state_of(opened))
    assert lines[1] == "open; it lasted 15 min"
    assert "opened by ana: features failed 3 times" in lines
    assert texts(state_of(opened, recovering))[1] == "recovering; it lasted 30 s"
    assert any(line.startswith("recovering since ") for line in texts(state_of(opened, recovering)))


def test_what_is_over_and_what_a_person_closed() -> None:
    opened = IncidentOpened(environment="prod", incident=incident())
    moved = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.MOVED, since=1.0,
        severity="ticket", cause=incident_cause("stale-stage/prod/labels", "stale stage"),
    )  # fmt: skip
    closed = IncidentClosed(
        environment="prod", incident="i1", how=ClosingReason.BY_PERSON, recovered=130.0,
        actor="ana", reason="known",
    )  # fmt: skip
    gone = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.RECOVERING, since=200.0
    )
    back = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.REOPENED, since=300.0
    )
    lines = texts(state_of(opened, moved, closed, gone, back, gone))
    assert lines[0].startswith("i1 [ticket]")
    assert "over: features failed 3 times" in lines
    happened = lines[lines.index("") + 1 :]
    assert [line.partition(" since")[0] for line in happened] == [
        "it began", "opened: features failed 3 times", "what remains: features failed 3 times",
        "closed by ana: known", "its problem is gone, and would open it again", "reopened",
        "alert to oncall: opened", "recovering",
    ]  # fmt: skip
