"""What an alert says: what is wrong, since when, whose it is, the runbook, and the command to look."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident import ClosingReason, Incident, IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.notices.notice import Notice, slack_body, webhook_body
from tidemill.operations.alert_notice import (
    alert_notice,
    duration,
    incident_line,
    incident_lines,
    look_command,
)
from tidemill.operations.alert_settings import AlertSettings
from tidemill.operations.alerts import AlertKind, DueAlert
from tidemill.operations.incident import IncidentState, fold_incidents
from tidemill.operations.silences import SilenceState
from tidemill.testing.incident_records import consequence, incident, incident_cause, silence

SETTINGS = AlertSettings(
    runbook="https://wiki.example/{stage}", runbooks={"labels": "https://wiki.example/special"}
)
OWNERS = {"": "ops", "features": "team-f"}


def state_of(
    given: Incident | None = None, *, closed: bool = False, env: str = "prod"
) -> IncidentState:
    opened: Any = IncidentOpened(environment=env, incident=given or incident())
    ended: Any = IncidentClosed(
        environment=env, incident="i1", how=ClosingReason.FIXED, recovered=400.0
    )
    events = [opened, *([ended] if closed else [])]
    facts = [RecordedEvent(seq=n, at=100.0 * n, event=event) for n, event in enumerate(events, 1)]
    return fold_incidents(facts)[(given or incident()).id]


def alert(state: IncidentState | None = None, kind: AlertKind = AlertKind.OPENED) -> DueAlert:
    return DueAlert(channel="oncall", state=state or state_of(), kind=kind, about=1, number=1)


def notice(*alerts: DueAlert, settings: AlertSettings = SETTINGS) -> Notice:
    return alert_notice(alerts, settings, OWNERS, workflow="flights", now=820.0)


def test_what_is_over_is_told() -> None:
    moved: Any = IncidentChanged(
        environment="prod", incident="i1", change=IncidentChange.MOVED, since=300.0,
        severity="ticket", cause=incident_cause("stale-stage/prod/labels", "stale stage"),
    )  # fmt: skip
    state = state_of()
    [left] = fold_incidents([RecordedEvent(seq=2, at=300.0, event=moved)], {"i1": state}).values()
    found = notice(alert(left))
    assert found.title.startswith("[ticket] ")
    assert "over: features failed 3 times" in found.lines
    assert not any("consequence" in line for line in found.lines)


def test_one_alert_says_all_that_is_needed() -> None:
    found = notice(alert())
    assert found.title == "[page] flights: features failed 3 times"
    assert found.lines == (
        "since 1970-01-01 00:01 UTC (12 min)",
        "owner: team-f",
        "error: ValueError: no rows",
        "1 consequence: labels",
        "look: tidemill runs logs run-1 features",
        "incident i1: tidemill incidents show i1",
    )
    assert (found.link, found.link_text) == ("https://wiki.example/features", "Open the runbook")
    assert (found.id, found.command) == ("i1-1-1", "tidemill runs logs run-1 features")
    body = json.loads(webhook_body(found))
    [document] = body.pop("alerts")
    assert body == {
        "schema": "tidemill.alerts/1", "id": "i1-1-1", "workflow": "flights", "environment": "prod",
    }  # fmt: skip
    assert document == {
        "id": "i1-1-1", "event": "incident.opened", "incident": "i1", "kind": "failed stage",
        "severity": "page", "status": "open", "stage": "features", "owner": "team-f",
        "title": "features failed 3 times", "since": 100.0, "detected": 120.0, "recovered": None,
        "how": "", "evidence": {"error": "ValueError: no rows"}, "consequences": ["labels is stale"],
        "runbook": "https://wiki.example/features", "command": "tidemill runs logs run-1 features",
    }  # fmt: skip


def test_the_end_says_how() -> None:
    found = notice(alert(state_of(closed=True), AlertKind.RESOLVED))
    assert found.title == "[page] flights: resolved: features failed 3 times"
    assert "fixed; all is well since 1970-01-01 00:06 UTC" in found.lines
    [document] = json.loads(webhook_body(found))["alerts"]
    assert (document["recovered"], document["how"]) == (400.0, "fixed")


def test_many_alerts_are_one_message_and_some_are_counted() -> None:
    states = [state_of(incident(f"i{number}")) for number in range(17)]
    alerts = [alert(state) for state in states]
    found = notice(*alerts)
    assert found.title == ("[page] flights: 17 incidents: features failed 3 times, and 16 more")
    assert found.lines[-1] == "and 12 more: tidemill incidents"
    assert found.lines.count("[page] features failed 3 times") == 5
    assert found.link == ""
    assert len(json.loads(webhook_body(found))["alerts"]) == 17
    # The id is that of the set, in any order.
    assert found.id == notice(*alerts[::-1]).id
    assert found.id != notice(*alerts[:-1]).id


def test_runbooks() -> None:
    labels = replace(incident(), cause=replace(incident_cause(), stage="labels"))
    assert notice(alert(state_of(labels))).link == "https://wiki.example/special"
    none = replace(incident(), cause=replace(incident_cause(), stage=""))
    assert notice(alert(state_of(none))).link == ""
    general = AlertSettings(runbook="https://wiki.example/all")
    assert notice(alert(state_of(none)), settings=general).link == "https://wiki.example/all"
    assert notice(alert(), settings=AlertSettings()).link == ""
    odd = replace(incident(), cause=replace(incident_cause(), stage="a/..|>"))
    assert notice(alert(state_of(odd))).link == "https://wiki.example/a%2F..%7C%3E"


def test_an_incident_in_one_line() -> None:
    assert incident_line(state_of(), OWNERS, 820.0) == (
        "page: features failed 3 times; for 12 min; 1 consequence; owner team-f; "
        "tidemill runs logs run-1 features"
    )
    bare = replace(incident(), consequences=(), cause=replace(incident_cause(), command=""))
    state = state_of(bare, env="dev")
    assert incident_line(state, {}, 820.0) == (
        "page: features failed 3 times; for 12 min; tidemill incidents show i1 --env dev"
    )
    assert look_command(state) == "tidemill incidents show i1 --env dev"
    assert not any("owner" in line for line in alert_notice([alert(state)], SETTINGS, {},
                   workflow="w", now=1.0).lines)  # fmt: skip


def test_many_consequences_are_counted() -> None:
    many = replace(incident(), consequences=tuple(consequence(f"s{n}") for n in range(30)))
    quiet = replace(many, cause=replace(many.cause, evidence={}))
    assert "30 consequences: s0, s1, s2, s3, s4 and 25 more" in notice(alert(state_of(quiet))).lines
    without = replace(incident(), consequences=())
    assert not any("consequence" in line for line in notice(alert(state_of(without))).lines)


def test_lengths_of_time() -> None:
    values = [-5.0, 0.0, 119.0, 120.0, 7_200.0, 172_800.0]
    assert [*map(duration, values)] == ["0 s", "0 s", "119 s", "2 min", "2 h", "2 d"]
    far = replace(incident(), since=1e300)
    assert "since 1000000" in notice(alert(state_of(far))).lines[0]


@given(st.text(max_size=50))
def test_text_of_data_stays_text(text: str) -> None:
    cause = replace(incident_cause(), title=text, evidence={"error": text}, command=text)
    hostile = replace(incident(), cause=cause, consequences=(replace(consequence(""), title=text),))
    found = notice(alert(state_of(hostile)))
    assert not any(set("\r\n\x1b") & set(line) for line in (found.title, *found.lines))
    assert slack_body(found).decode().count("<") == 1
    json.loads(webhook_body(found))


def test_lines_of_open_incidents_name_who_silences_them() -> None:
    note = replace(incident("i2"), severity="note")
    states = [state_of(note), state_of(), state_of(incident("i1"), closed=True)]
    held = SilenceState(silence=replace(silence(), severity="note"), environment="prod")
    lines = incident_lines(states, [held], OWNERS, 820.0)
    assert [line.split(":")[0] for line in lines] == ["page", "note"]
    assert lines[1].endswith("; silenced by ana")
    assert "silenced" not in lines[0]
