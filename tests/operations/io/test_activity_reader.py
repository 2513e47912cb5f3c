"""A first look at the last events of a ledger finds what a look at all of them finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.ledger.drift import DriftVerdict
from tidemill.ledger.event import DriftJudged, Event, RunEnded
from tidemill.ledger.run import Status
from tidemill.operations.io import activity_reader
from tidemill.operations.io.activity_reader import ActivityReader
from tidemill.operations.ledger_problems import StageActivity
from tidemill.testing import records
from tidemill.testing.doubles import MemoryLedger

STAGES = ("raw", "features")
ENVIRONMENTS = ("prod", "prod", "dev")


def judged(stage: str, environment: str, *, well: bool) -> DriftJudged:
    event = records.drift_judged_event(stage, environment=environment)
    return replace(event, verdict=DriftVerdict(signature="data")) if well else event


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Runs of two environments that end, or whose ends are recorded late, and tables that drift."""
    events: list[Event] = []
    running: list[str] = []
    for number in range(draw(st.integers(0, 30))):
        environment = draw(st.sampled_from(ENVIRONMENTS))
        stage = draw(st.sampled_from(STAGES))
        act = draw(st.sampled_from(["start", "end", "alarm", "judge", "well"]))
        if act == "start":
            running.append(f"run-{number}")
            events.append(records.run_started_event(running[-1], environment))
        elif act == "end" and running:
            run = running.pop(draw(st.integers(0, len(running) - 1)))
            ends = (Status.OK, Status.LOST, Status.FAILED)
            events.append(RunEnded(run=run, status=draw(st.sampled_from(ends))))
        elif act == "alarm":
            events.append(records.drift_alarmed_event(stage, environment=environment))
        else:
            events.append(judged(stage, environment, well=act == "well"))
    return events


def ledger_of(events: list[Event]) -> MemoryLedger:
    ledger = MemoryLedger()
    for at, event in enumerate(events, 1):
        ledger.append([event], now=float(at))
    return ledger


def read(ledger: MemoryLedger) -> StageActivity:
    return ActivityReader(ledger, "prod", STAGES).read(ledger.state("prod").seq)


def told(activity: StageActivity) -> tuple[object, bool]:
    return activity.drift, activity.lost is not None


@settings(max_examples=200)
@given(histories(), st.integers(1, 8), st.integers(0, 30))
def test_a_late_start_finds_drift_and_lost_runs(
    events: list[Event], look_back: int, known: int
) -> None:
    ledger = ledger_of(events[:known])
    whole = read(ledger)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activity_reader, "_LOOK_BACK", look_back)
        late = ActivityReader(ledger, "prod", STAGES)
        assert told(late.read(ledger.state("prod").seq)) == told(whole)
        for event in events[known:]:
            ledger.append([event], now=1_000.0)
        seen = told(late.read(ledger.state("prod").seq))
    assert seen == told(read(ledger))


def test_each_event_is_read_once() -> None:
    ledger = ledger_of([records.drift_alarmed_event("raw")])
    reader = ActivityReader(ledger, "prod", STAGES)
    first = reader.read(1)
    assert {*first.drift} == {"raw"}
    ledger.append([judged("raw", "prod", well=True)], now=9.0)
    assert reader.read(2).drift == {}
