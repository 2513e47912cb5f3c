"""Which alerts are due to which channel: once, grouped, reminded of, held, and told when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident import ClosingReason, Incident, IncidentChange
from tidemill.ledger.incident_events import (
    AlertFailed,
    AlertSent,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
    Silenced,
)
from tidemill.notices.channel_settings import Channel, ChannelKind
from tidemill.operations.alert_settings import AlertRoute, AlertSettings
from tidemill.operations.alerts import (
    ALERT_EVENTS,
    AlertKind,
    DueAlert,
    due_alerts,
    fold_channels,
    is_routed,
    next_check,
    notifier_problems,
    owner_of,
)
from tidemill.operations.incident import fold_incidents
from tidemill.operations.problem import ProblemKind, ProblemSeverity
from tidemill.operations.silences import SilenceState, fold_silences
from tidemill.testing.incident_records import incident, incident_cause, silence

PROD = "prod"
OWNERS = {"": "ops", "features": "team-f"}
SETTINGS = AlertSettings(
    channels={"oncall": Channel(name="oncall", kind=ChannelKind.SLACK)}, group_s=30.0,
    repeat_s=1_000.0, most_per_hour=3, failures=2,
)  # fmt: skip


@dataclass
class Desk:
    """A ledger, and what is due by it."""

    settings: AlertSettings = SETTINGS
    facts: list[RecordedEvent] = field(default_factory=list)
    silences: list[SilenceState] = field(default_factory=list)

    def append(self, at: float, *events: Any) -> None:
        for event in events:
            self.facts.append(RecordedEvent(seq=len(self.facts) + 1, at=at, event=event))

    def open(self, at: float, id: str = "i1", **terms: Any) -> None:
        found: Incident = replace(incident(id, since=at), detected=at, **terms)
        self.append(at, IncidentOpened(environment=PROD, incident=found))

    def change(self, at: float, change: IncidentChange, id: str = "i1", severity: str = "") -> None:
        self.append(
            at,
            IncidentChanged(
                environment=PROD, incident=id, change=change, since=at, severity=severity
            ),
        )

    def close(self, at: float, id: str = "i1") -> None:
        how = ClosingReason.RECOVERED
        self.append(at, IncidentClosed(environment=PROD, incident=id, how=how, recovered=at))

    def act(self, now: float, act: str, number: int) -> None:
        """Let something happen to an incident, if it can."""
        id = f"i{number}"
        state = fold_incidents(self.facts).get(id)
        if state is None and act == "open":
            self.open(now, id, cause=incident_cause(f"k{number}", ProblemKind.FAILED_STAGE))
        elif state is not None and state.is_open and act == "close":
            self.close(now, id)
        elif state is not None and state.is_open and act == "worsen":
            self.change(now, IncidentChange.WORSENED, id, "page")
        elif state is not None and state.is_open and act == "recover":
            self.change(now, IncidentChange.RECOVERING, id)
        elif state is not None and not state.is_open and act == "reopen":
            self.change(now, IncidentChange.REOPENED, id)

    def due(self, now: float) -> dict[str, tuple[DueAlert, ...]]:
        channels = fold_channels(self.facts, PROD)
        states = fold_incidents(self.facts).values()
        return due_alerts(states, channels, self.silences, self.settings, OWNERS, now)

    @property
    def told(self) -> list[tuple[str, str, int]]:
        events = [fact.event for fact in self.facts]
        return [(e.incident, e.kind, e.about) for e in events if isinstance(e, AlertSent)]

    def send(self, now: float) -> list[tuple[str, str]]:
        """Send what is due; the ids of incidents, and why."""
        sent = []
        for name, alerts in self.due(now).items():
            for alert in alerts:
                sent.append((alert.state.id, str(alert.kind)))
                self.append(now, AlertSent(environment=PROD, incident=alert.state.id, channel=name,
                                           about=alert.about, kind=str(alert.kind)))  # fmt: skip
        return sent


def test_an_incident_is_told_once_reminded_of_and_resolved() -> None:
    desk = Desk()
    desk.open(100.0)
    assert desk.send(110.0) == []  # it waits for others
    assert desk.send(130.0) == [("i1", "opened")]
    assert desk.send(140.0) == []
    assert desk.send(1_130.0) == [("i1", "reminder")]
    assert desk.send(1_140.0) == []
    desk.change(1_200.0, IncidentChange.RECOVERING)
    assert desk.send(9_000.0) == []  # it is over soon, or bad again
    desk.close(9_001.0)
    assert desk.send(9_001.0) == [("i1", "resolved")]
    assert desk.send(99_999.0) == []
    # It is back: that is told like a new one.
    desk.change(100_000.0, IncidentChange.REOPENED)
    assert desk.send(100_030.0) == [("i1", "opened")]
    desk.close(100_100.0)
    assert desk.send(100_100.0) == [("i1", "resolved")]


def test_ids_of_alerts_are_stable_and_differ() -> None:
    desk = Desk()
    desk.open(100.0)
    [first], [again] = desk.due(200.0)["oncall"], desk.due(300.0)["oncall"]
    assert first.id == again.id == "i1-1-1"
    desk.send(300.0)
    [reminder] = desk.due(1_300.0)["oncall"]
    assert (reminder.kind, reminder.id) == (AlertKind.REMINDER, "i1-1-2")


def test_a_clock_that_jumps_makes_no_reminders_for_ever() -> None:
    desk = Desk()
    desk.open(5_000.0)
    assert desk.send(5_030.0) == [("i1", "opened")]
    # A little back: nothing is new, and the next reminder waits for at most twice its time.
    for now in (5_020.0, 4_500.0, 4_031.0):
        assert desk.send(now) == []
    # Far back, and far ahead: one reminder each.
    for now in (100.0, 10.0**9, 200.0):
        assert desk.send(now) == [("i1", "reminder")]
        assert desk.send(now + 1.0) == []
        assert desk.send(now - 1.0) == []


def test_a_silence_lasts_about_its_time_whatever_the_clock_does() -> None:
    desk = Desk()
    made = silence(at=10_000.0, expires=13_600.0)
    desk.open(9_000.0)

    def is_told(now: float, *facts: RecordedEvent) -> bool:
        event = Silenced(environment=PROD, silence=made)
        states = fold_silences([RecordedEvent(seq=1, at=10_000.0, event=event), *facts])
        desk.silences = [*states.values()]
        return bool(desk.due(now))

    assert not is_told(10_001.0)
    # Set back by a little it goes on, by more than its time it is over.
    assert not is_told(6_401.0)
    assert is_told(6_400.0)
    # What others recorded before, when the clock ran ahead, doesn't end it; what comes later does.
    ahead = RecordedEvent(seq=0, at=10.0**9, event=desk.facts[0].event)
    states = fold_silences([ahead])
    event = Silenced(environment=PROD, silence=made)
    desk.silences = [
        *fold_silences([RecordedEvent(seq=2, at=10_000.0, event=event)], states).values()
    ]
    assert not desk.due(10_001.0)
    assert is_told(10_001.0, replace(ahead, seq=3))


def test_channels_are_the_same_however_their_events_are_read() -> None:
    desk = Desk()
    for number in range(40):
        at = float(number // 3)
        desk.append(at, AlertSent(environment=PROD, incident=f"i{number % 4}", channel="oncall",
                                  about=number, kind="opened"))  # fmt: skip
    whole = fold_channels(desk.facts, PROD)
    step = fold_channels(desk.facts[:7], PROD)
    before = dict(step["oncall"].sent)
    assert fold_channels(desk.facts[7:], PROD, step) == whole
    assert step["oncall"].sent == before
    assert [len(alerts) for alerts in whole["oncall"].sent.values()] == [10] * 4
    assert whole["oncall"].messages == tuple(map(float, range(14)))


def test_an_incident_that_ends_before_it_is_told_is_never_told() -> None:
    desk = Desk()
    desk.open(100.0)
    desk.close(110.0)
    assert desk.send(500.0) == []


def test_a_worse_incident_is_told_at_once() -> None:
    desk = Desk()
    desk.open(100.0, severity="ticket")
    desk.send(130.0)
    desk.change(140.0, IncidentChange.WORSENED, severity="page")
    assert desk.send(140.0) == [("i1", "worsened")]
    assert desk.send(150.0) == []


def test_incidents_that_begin_together_are_one_message() -> None:
    desk = Desk()
    desk.open(100.0, "i1", severity="ticket")
    desk.open(125.0, "i2", severity="page")
    assert desk.send(126.0) == []
    assert desk.send(130.0) == [("i2", "opened"), ("i1", "opened")]


def test_a_silence_holds_alerts_until_it_ends() -> None:
    desk = Desk()
    desk.silences = [SilenceState(silence=silence(expires=900.0), environment=PROD)]
    desk.open(100.0)
    assert desk.send(500.0) == []
    assert desk.send(900.0) == [("i1", "opened")]
    # What ended meanwhile is told as well: somebody was told of it.
    desk.silences = [SilenceState(silence=silence(expires=5_000.0), environment=PROD)]
    desk.close(1_000.0)
    assert desk.send(1_000.0) == []
    assert desk.send(5_000.0) == [("i1", "resolved")]


def test_resolved_notes_can_be_left_out() -> None:
    desk = Desk(replace(SETTINGS, resolved=False))
    desk.open(100.0)
    desk.send(130.0)
    desk.close(200.0)
    assert desk.send(300.0) == []


def test_a_channel_gets_few_messages_an_hour_and_then_all_in_one() -> None:
    desk = Desk()
    for number in range(3):
        desk.open(100.0 * number, f"i{number}")
        assert desk.send(100.0 * number + 30.0) == [(f"i{number}", "opened")]
    desk.open(300.0, "i3")
    desk.open(310.0, "i4")
    assert desk.send(3_000.0) == []
    told = desk.send(3_631.0)
    assert {("i3", "opened"), ("i4", "opened"), ("i0", "reminder")} <= {*told}


def test_a_channel_that_fails_is_tried_less_and_less_often() -> None:
    desk = Desk()
    desk.open(100.0)
    now, tried = 130.0, []
    for failures in range(1, 12):
        while not desk.due(now):
            now += 10.0
        tried.append(now)
        desk.append(
            now, AlertFailed(environment=PROD, channel="oncall", reason="500", failures=failures)
        )
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses[:4] == [60.0, 120.0, 240.0, 480.0]
    assert max(pauses) == 3_600.0
    # The clock was set back: nothing waits for it.
    assert desk.due(50.0)
    assert desk.send(now + 3_600.0) == [("i1", "opened")]
    assert fold_channels(desk.facts, PROD)["oncall"].failures == 0


def test_a_channel_that_fails_often_is_a_problem_until_it_accepts_something() -> None:
    desk = Desk()

    def problems(now: float) -> list[tuple[str, float, str]]:
        found = notifier_problems(fold_channels(desk.facts, PROD), desk.settings, PROD, now)
        return [(each.key, each.since, each.command) for each in found]

    for number, at in ((1, 100.0), (2, 160.0)):
        assert problems(at) == []
        desk.append(
            at, AlertFailed(environment=PROD, channel="oncall", reason="x", failures=number)
        )
    key = "failed-notifier/prod/oncall"
    assert problems(161.0) == [(key, 100.0, "tidemill alerts test oncall")]
    # One that is never tried again isn't one for ever, nor one that is no longer configured.
    assert problems(160.0 + 86_400.0) == []
    removed = replace(SETTINGS, channels={})
    assert notifier_problems(fold_channels(desk.facts, PROD), removed, PROD, 161.0) == ()
    desk.append(
        200.0, AlertSent(environment=PROD, incident="i", channel="oncall", about=1, kind="opened")
    )
    assert problems(201.0) == []


def test_when_the_next_check_has_something_to_do() -> None:
    desk = Desk()

    def due(now: float) -> float | None:
        channels = fold_channels(desk.facts, PROD)
        return next_check(fold_incidents(desk.facts).values(), channels, desk.settings, now)

    assert due(1.0) is None
    desk.open(100.0)
    assert (due(100.0), due(130.0)) == (130.0, None)
    desk.append(130.0, AlertFailed(environment=PROD, channel="oncall", reason="x", failures=3))
    assert due(130.0) == 130.0 + 240.0
    desk.change(140.0, IncidentChange.RECOVERING)
    assert due(141.0) == 130.0 + 240.0
    assert due(371.0) == 140.0 + SETTINGS.hold_s
    desk.close(440.0)
    assert due(441.0) is None


def test_alerts_of_other_environments_tell_nothing() -> None:
    desk = Desk()
    desk.append(1.0, AlertFailed(environment="dev", channel="oncall", reason="x", failures=1))
    desk.open(1.0)
    assert fold_channels(desk.facts, PROD) == {}
    assert ALERT_EVENTS == ("AlertSent", "AlertFailed")


@pytest.mark.parametrize(
    ("route", "fits"),
    [
        ({}, True),
        ({"severity": ProblemSeverity.PAGE}, True),
        ({"stages": ("feat*",)}, True),
        ({"stages": ("labels",)}, False),
        ({"owners": ("team-f",)}, True),
        ({"owners": ("ops",)}, False),
        ({"kinds": ("stale*", "failed*")}, True),
        ({"kinds": ("drift",)}, False),
        ({"to": ("others",)}, False),
    ],
)
def test_routes(route: dict[str, Any], fits: bool) -> None:
    opened = IncidentOpened(environment=PROD, incident=incident())
    [state] = fold_incidents([RecordedEvent(seq=1, at=1.0, event=opened)]).values()
    routes = [AlertRoute(**{"to": ("oncall",), **route})]
    assert is_routed(state, "oncall", routes, OWNERS) == fits
    assert is_routed(state, "oncall", [], OWNERS)
    calm = replace(state, severity="ticket")
    pages = [AlertRoute(to=("oncall",), severity=ProblemSeverity.PAGE)]
    assert not is_routed(calm, "oncall", pages, OWNERS)


def test_who_owns_what_concerns_no_stage() -> None:
    assert (owner_of("features", OWNERS), owner_of("", OWNERS), owner_of("x", {})) == (
        "team-f", "ops", "",
    )  # fmt: skip


STEPS = st.lists(
    st.tuples(
        st.floats(1.0, 2_000.0),
        st.sampled_from(["open", "close", "reopen", "worsen", "recover", "nothing"]),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=30,
)


@given(STEPS)
def test_each_opening_and_end_is_told_once_whatever_the_order(
    steps: list[tuple[float, str, int, bool]],
) -> None:
    """However often it is checked, also by a process that starts anew, and however often sending fails."""
    desk, now = Desk(replace(SETTINGS, most_per_hour=10_000)), 0.0
    failures = 0
    for pause, act, number, fails in steps:
        now += pause
        desk.act(now, act, number)
        if fails and desk.due(now):
            failures += 1
            desk.append(
                now, AlertFailed(environment=PROD, channel="oncall", reason="x", failures=failures)
            )
        elif desk.send(now):
            failures = 0
        assert desk.send(now) == [] or fails
    desk.send(now + 10_000.0)
    sent = desk.told
    once = [each for each in sent if each[1] in ("opened", "resolved")]
    assert len(once) == len({*once})
    for state in fold_incidents(desk.facts).values():
        told = [kind for id, kind, about in sent if id == state.id and about >= state.opened]
        if state.is_open and state.recovered is None:
            assert told[0] == "opened"
        elif not state.is_open:
            # Whoever was told that it began is told that it ended, and nobody else.
            assert (told[-1:] == ["resolved"]) == bool(told)
