"""Recorded alarms, and which of them are to be investigated."""

from __future__ import annotations

from tidemill.ledger.drift import DriftVerdict, RaisedAlarm


def alarm(partition: str, rule: str = "drift") -> RaisedAlarm:
    return RaisedAlarm(
        rule=rule,
        partition=partition,
        reference=("2024-01-01", "2024-01-30"),
        columns={"delay": 0.75, "carrier": 0.25},
    )


def test_an_alarm_says_what_drifted_and_from_what() -> None:
    assert str(alarm("2024-02-01")) == (
        "delay (75%), carrier (25%) drifted at 2024-02-01 from 2024-01-01 .. 2024-01-30"
    )


def test_the_last_alarm_of_a_rule_is_the_open_one() -> None:
    alarms = (alarm("2024-02-01"), alarm("2024-03-01"), alarm("2024-02-15", "other"))
    verdict = DriftVerdict(signature="data", alarms=alarms, investigate=("drift",))
    assert verdict.open_alarms == (alarms[1],)
    assert DriftVerdict(signature="data", alarms=alarms).open_alarms == ()
