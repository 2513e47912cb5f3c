"""What happened in an incident, in order."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.incident import ClosingReason, IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.alerts import SentAlert
from tidemill.operations.incident import IncidentState, fold_incidents
from tidemill.operations.incident_timeline import closing_text, incident_timeline
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


def changed(change: IncidentChange, since: float = 130.0) -> IncidentChanged:
    return IncidentChanged(environment="prod", incident="i1", change=change, since=since)


def texts(state: IncidentState) -> list[str]:
    return [entry.text for entry in incident_timeline(state, ())]


def test_all_that_happened_is_in_order() -> None:
    grew = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.GREW, since=1.0,
        consequences=tuple(consequence(f"s{n}") for n in range(9)),
    )  # fmt: skip
    first, *rest = incident_events()
    state = state_of(first, grew, *rest)
    found = incident_timeline(state, [("oncall", SentAlert(at=125.5, about=1, kind="opened"))])
    assert [entry.text for entry in found] == [
        "it began", "opened: features failed 3 times", "9 consequences more", "worse: page",
        "because: features failed 3 times", "alert to oncall: opened", "closed: fixed",
    ]  # fmt: skip
    assert [entry.at for entry in found] == sorted(entry.at for entry in found)
    assert closing_text(state) == "closed: fixed"


def test_times_stand_beside_the_words() -> None:
    opened = IncidentOpened(environment="prod", incident=replace(incident(), actor="ana"))
    state = state_of(opened, changed(IncidentChange.RECOVERING))
    assert texts(state)[1:] == ["opened by ana: features failed 3 times", "recovering since"]
    assert incident_timeline(state, ())[-1].since == 130.0
    assert closing_text(state) == "recovering"


def test_what_is_over_and_what_a_person_closed() -> None:
    moved = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.MOVED, since=1.0,
        severity="ticket", cause=incident_cause("stale-stage/prod/labels", "stale stage"),
    )  # fmt: skip
    closed = IncidentClosed(
        environment="prod", incident="i1", how=ClosingReason.BY_PERSON, recovered=130.0,
        actor="ana", reason="known",
    )  # fmt: skip
    begin = (IncidentOpened(environment="prod", incident=incident()), moved, closed)
    assert closing_text(state_of(*begin)) == "closed: by a person (ana: known)"
    gone = changed(IncidentChange.RECOVERING)
    state = state_of(*begin, gone, changed(IncidentChange.REOPENED, 300.0), gone)
    assert texts(state)[2:] == [
        "what remains: features failed 3 times", "closed by ana: known",
        "its problem is gone, and would open it again", "reopened since", "recovering since",
    ]  # fmt: skip
