"""Waivers end when they expire, are ended, or their environment is dropped; no clock revives them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.waivers import WAIVER_EVENTS, waiver_states, waivers_in_force
from tidemill.ledger.event import EnvironmentDropped, Event, RecordedEvent, RunEnded
from tidemill.ledger.governance_events import Waived, WaiverEnded
from tidemill.ledger.policy import Waiver
from tidemill.ledger.run import Status


def waived(
    id: str = "w1", expires: float = 100.0, reason: str = "why", environment: str = "prod"
) -> Waived:
    made = Waiver(
        id=id, rule="owner", scope="*", reason=reason, actor="ana", at=0.0, expires=expires
    )
    return Waived(environment=environment, waiver=made)


def ended(id: str = "w1", environment: str = "prod", actor: str = "ben") -> WaiverEnded:
    return WaiverEnded(environment=environment, waiver=id, actor=actor, reason="done")


def run_ended() -> RunEnded:
    return RunEnded(run="r1", status=Status.OK)


def facts(*events: tuple[float, Event]) -> list[RecordedEvent]:
    return [RecordedEvent(seq=seq, at=at, event=event) for seq, (at, event) in enumerate(events, 1)]


def in_force(events: list[RecordedEvent], now: float) -> list[str]:
    return [waiver.id for waiver in waivers_in_force(events, "prod", now)]


def test_a_waiver_is_in_force_until_it_expires() -> None:
    events = facts((0.0, waived()), (1.0, waived("w2", 50.0)))
    assert in_force(events, 49.0) == ["w1", "w2"]
    assert in_force(events, 50.0) == ["w1"]
    assert in_force(events, 100.0) == []


def test_a_waiver_of_another_environment_lifts_nothing() -> None:
    assert in_force(facts((0.0, waived(environment="dev"))), 1.0) == []


def test_a_waiver_that_was_ended_stays_so() -> None:
    events = facts((0.0, waived()), (5.0, ended()), (6.0, ended(actor="eve")))
    (state,) = waiver_states(events, "prod", 7.0)
    assert not state.in_force
    assert not state.has_expired
    assert (state.ended, state.ended_by, state.reason) == (5.0, "ben", "done")


def test_only_its_own_environment_ends_a_waiver() -> None:
    events = facts((0.0, waived()), (1.0, ended(environment="dev")), (2.0, ended("w9")))
    assert in_force(events, 3.0) == ["w1"]
    dropped = EnvironmentDropped(environment="dev")
    assert in_force(facts((0.0, waived()), (1.0, dropped)), 2.0) == ["w1"]
    dropped = EnvironmentDropped(environment="prod")
    assert in_force(facts((0.0, waived()), (1.0, dropped)), 2.0) == []


def test_a_second_waiver_of_an_id_replaces_nothing() -> None:
    events = facts((0.0, waived()), (1.0, waived(expires=9e9)))
    assert in_force(events, 100.0) == []


def test_a_clock_that_goes_back_revives_nothing() -> None:
    events = facts((0.0, waived()), (150.0, run_ended()), (20.0, run_ended()))
    (state,) = waiver_states(events, "prod", 20.0)
    assert (state.seen, state.has_expired, state.in_force) == (150.0, True, False)
    # A waiver of now is as long as it says, though the clock was ahead before.
    assert in_force([*events, RecordedEvent(seq=9, at=20.0, event=waived("w2"))], 21.0) == ["w2"]


@given(st.lists(st.floats(0, 200), max_size=6), st.floats(0, 200))
def test_a_waiver_is_over_once_its_end_was_seen(times: list[float], now: float) -> None:
    events = facts((0.0, waived()), *((at, run_ended()) for at in times))
    assert in_force(events, now) == (["w1"] if max([*times, now]) < 100 else [])


def test_the_kinds_of_events_are_those_that_are_read() -> None:
    assert {"Waived", "WaiverEnded", "EnvironmentDropped"} < {*WAIVER_EVENTS}
