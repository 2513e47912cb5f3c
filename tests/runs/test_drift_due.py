"""Drift is judged when what it depends on changed; an alarm is recorded once."""

from __future__ import annotations

from dataclasses import replace

import tidemill as tm
from tidemill.core.partition import UNPLACED
from tidemill.ledger.binding import Binding
from tidemill.ledger.drift import DriftVerdict
from tidemill.ledger.event import DriftAlarmed, DriftJudged, Event, RecordedEvent
from tidemill.runs.drift_due import (
    drift_signature,
    last_verdict,
    new_alarms,
    open_alarm_notes,
)
from tidemill.testing.records import (
    binding,
    drift_alarmed_event,
    drift_judged_event,
    judged_event,
    product,
    raised_alarm,
)


class Watched(tm.Contract, version="1.0.0"):
    day = tm.Date(partition="1d")
    x = tm.Float64()
    drift = tm.DriftAlarm(reference="30d")


class Wider(tm.Contract, version="1.0.0"):
    day = tm.Date(partition="1d")
    x = tm.Float64()
    drift = tm.DriftAlarm(reference="60d")


SPEC = Watched.__tidemill_contract__


def bound(*contents: str) -> dict[str, Binding]:
    return {
        f"2024-01-0{at}": replace(binding(content), product=product(content))
        for at, content in enumerate(contents, 1)
    }


def facts(*events: Event) -> list[RecordedEvent]:
    return [RecordedEvent(seq=at, at=1.0, event=event) for at, event in enumerate(events, 1)]


def test_the_signature_covers_the_partitions_and_the_rules() -> None:
    first = drift_signature(SPEC, bound("a", "b"))
    assert first == drift_signature(SPEC, bound("a", "b"))
    assert first == drift_signature(SPEC, {**bound("a", "b"), UNPLACED: binding("z")})
    others = {
        drift_signature(SPEC, bound("a")),
        drift_signature(SPEC, bound("a", "c")),
        drift_signature(Wider.__tidemill_contract__, bound("a", "b")),
    }
    assert len(others) == 3
    assert first not in others


def test_the_last_verdict_of_the_environment_counts_or_that_of_its_parent() -> None:
    def judged(environment: str, signature: str) -> DriftJudged:
        verdict = DriftVerdict(signature=signature)
        return replace(drift_judged_event(environment=environment), verdict=verdict)

    found = facts(judged("prod", "one"), judged("prod", "two"), judged_event())
    newest_first = found[::-1]
    assert last_verdict(newest_first, ["dev", "prod"]) == DriftVerdict(signature="two")
    both = [*facts(judged("dev", "three")), *newest_first]
    assert last_verdict(both, ["dev", "prod"]) == DriftVerdict(signature="three")
    assert last_verdict([], ["dev", "prod"]) is None


def test_open_alarms_are_noted() -> None:
    alarm = raised_alarm()
    verdict = DriftVerdict(signature="data", alarms=(alarm,), investigate=("drift",))
    assert open_alarm_notes("raw", verdict) == [
        "raw: drift: distance (70%), carrier (30%) drifted at 2013-03-07 from 2013-02-05 .. "
        "2013-03-06; see `tidemill drift raw 2013-03-07`"
    ]
    assert open_alarm_notes("raw", DriftVerdict(signature="data", alarms=(alarm,))) == []
    assert open_alarm_notes("raw", None) == []


def test_an_alarm_is_recorded_once_for_a_rule_and_partition() -> None:
    alarms = (raised_alarm("2013-03-07"), raised_alarm("2013-04-01"))
    verdict = DriftVerdict(signature="data", alarms=alarms)
    event: DriftAlarmed = drift_alarmed_event()
    found = facts(event, judged_event())
    assert new_alarms(verdict, found, ["prod"]) == alarms[1:]
    assert new_alarms(verdict, found, ["dev", "prod"]) == alarms[1:]
    assert new_alarms(verdict, found, ["dev"]) == alarms
    assert new_alarms(verdict, [], ["prod"]) == alarms
