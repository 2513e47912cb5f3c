"""Events before a window that figures in it depend on."""

from __future__ import annotations

from tests.scorecard.test_inference_report import delivered, published
from tidemill.ledger.event import Event, RunEnded
from tidemill.ledger.run import Action, Status
from tidemill.scorecard.io.earlier_facts import earlier_facts
from tidemill.testing import records
from tidemill.testing.doubles import MemoryLedger


def found(*events: Event, until: int | None = None) -> list[Event]:
    ledger = MemoryLedger()
    for number, event in enumerate(events):
        ledger.append([event], now=float(number))
    last = len(events) if until is None else until
    return [fact.event for fact in earlier_facts(ledger, "prod", last)]


def run_of(stage: str, run: str, action: Action = Action.RUN) -> list[Event]:
    return [
        records.run_started_event(run),
        records.attempted_event(stage, run=run, action=action),
        published(stage, run),
        RunEnded(run=run, status=Status.OK, receipt=None),
    ]


def test_nothing_was_before() -> None:
    assert found() == []
    assert found(*run_of("m1", "r1"), until=0) == []


def test_the_training_of_what_is_live() -> None:
    first, second = (run_of("m1", run, Action.TRAIN) for run in ("r1", "r2"))
    live = [delivered("m1", "r1"), delivered("m1", "r2"), delivered("m1", "r1")]
    kept = found(*first, *second, *live)
    assert [event for event in first if event in kept] == first
    assert [event for event in live if event in kept] == live
    assert second[3] not in kept


def test_a_version_that_is_not_known_any_more() -> None:
    live = delivered("m1", "r9")
    assert found(live) == [live]


def test_what_was_published_last_with_its_step() -> None:
    ended, begun = run_of("features", "r1"), run_of("features", "r2")[:2]
    removed = records.removed_event(stage="features")
    foreign = published("features", "r3", "dev")
    assert found(*ended, removed, foreign, *begun) == [*ended[1:3], removed, *begun]
