"""The state of an incident after its events."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident_events import AlertSent, IncidentClosed
from tidemill.operations.incident import (
    INCIDENT_EVENTS,
    IncidentStatus,
    fold_incidents,
    told_stages,
)
from tidemill.testing.incident_records import incident, incident_events


def test_the_sample_events_make_one_incident() -> None:
    facts = [RecordedEvent(seq=n, at=float(n), event=e) for n, e in enumerate(incident_events(), 1)]
    [state] = fold_incidents(facts).values()
    assert (state.id, state.status, state.is_open) == ("i1", IncidentStatus.CLOSED, False)
    assert (state.severity, state.cause.kind) == ("page", "stale stage")
    assert (state.opened, state.recovered, state.closed_at) == (1, 200.0, 8.0)
    assert [type(fact.event).__name__ for fact in state.events] == [
        "IncidentOpened", "IncidentChanged", "IncidentChanged", "IncidentClosed",
    ]  # fmt: skip
    assert fold_incidents(facts[4:], fold_incidents(facts[:4])) == fold_incidents(facts)


def test_what_is_about_no_known_incident_tells_nothing() -> None:
    closed = incident_events()[-1]
    assert isinstance(closed, IncidentClosed)
    sent = AlertSent(environment="prod", incident="i9", channel="a", about=1, kind="opened")
    unknown = RecordedEvent(seq=1, at=1.0, event=closed), RecordedEvent(seq=2, at=1.0, event=sent)
    assert fold_incidents(unknown) == {}
    assert incident().id == "i1"
    assert set(INCIDENT_EVENTS) == {"IncidentOpened", "IncidentChanged", "IncidentClosed"}


def test_only_what_tells_of_failures_and_age_tells_of_a_stage() -> None:
    facts = [RecordedEvent(seq=n, at=float(n), event=e) for n, e in enumerate(incident_events(), 1)]
    [state] = fold_incidents(facts[:1]).values()
    place = state.environment
    assert told_stages([state], place) == frozenset(state.stages)
    assert told_stages([state], "elsewhere") == frozenset()
    late = replace(state, cause=replace(state.cause, kind="late work"))
    assert told_stages([late], place) == frozenset()
    [closed] = fold_incidents(facts).values()
    assert told_stages([closed], place) == frozenset()
