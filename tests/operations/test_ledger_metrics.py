"""Metrics of an environment, derived from events one by one, against sums over all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.finding import Finding
from tidemill.core.partition import WHOLE
from tidemill.costs.price_history import PriceHistory
from tidemill.ledger.event import (
    Attempted,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    RecipeChanged,
    RecordedEvent,
    RunEnded,
    Served,
    Settled,
    SourceSeen,
)
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Outcome, Receipt, StageTotals, Status
from tidemill.ledger.usage import ServedUsage
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.objective_settings import DAY, Objective, ObjectiveKind
from tidemill.testing import records
from tidemill.workflow.memo import MemoUsage
from tidemill.workflow.source import SourceFile

NOW = 1_000_000_000.0
OBJECTIVES = (
    Objective(name="steps", kind=ObjectiveKind.SUCCESS, subject="a", target=0.9),
    Objective(name="up", kind=ObjectiveKind.AVAILABILITY, subject="e", target=0.9),
    Objective(name="quick", kind=ObjectiveKind.LATENCY, subject="e", target=0.9, limit=1e-3),
    Objective(name="fresh", kind=ObjectiveKind.FRESHNESS, subject="a", target=0.9, limit=60.0),
)


def empty() -> LedgerMetrics:
    return LedgerMetrics(environment="prod", zone="Europe/Berlin", objectives=OBJECTIVES)


def folded(facts: list[RecordedEvent], book: PriceBook | None = None) -> LedgerMetrics:
    found = empty()
    found.book = book or found.book
    for fact in facts:
        found.note(fact)
    return found


def recorded(*events: Event, at: float = NOW) -> list[RecordedEvent]:
    return [RecordedEvent(seq=seq, at=at, event=event) for seq, event in enumerate(events, 1)]


def attempted(stage: str = "a", **more: Any) -> Attempted:
    return records.attempted_event(stage, **more)


def test_a_failed_stage_that_recovers() -> None:
    found = folded(recorded(attempted(outcome=Outcome.FAILED), attempted("b")))
    assert [*found.failing] == ["a"]
    found.note(RecordedEvent(seq=3, at=NOW, event=records.published_event(stage="a")))
    assert found.failing == {}
    assert found.published == {"a": NOW}
    assert (found.seq, found.at, found.events) == (3, NOW, 3)


@pytest.mark.parametrize(
    "repair",
    [
        records.removed_event(stage="a"),
        Settled(environment="prod", stage="a", mark=records.settled_event().mark),
        EnvironmentDropped(environment="prod"),
    ],
)
def test_what_ends_a_failure(repair: Event) -> None:
    failed = attempted(outcome=Outcome.FAILED)
    assert folded(recorded(failed, repair)).failing == {}


def test_a_removed_partition_has_no_watermark() -> None:
    published = records.published_event(stage="a")
    found = folded(recorded(published, records.removed_event(stage="a")))
    assert found.watermarks["a"].current is None


def test_other_environments_only_move_the_number() -> None:
    found = folded(recorded(attempted(environment="dev"), records.removed_event(environment="dev")))
    assert (found.seq, found.events, found.totals) == (2, 0, {})


def test_a_run_of_another_environment_mends_nothing_here() -> None:
    failed = attempted(run="r", partition=WHOLE, outcome=Outcome.FAILED)
    sound = Receipt(run="d", status=Status.OK, stages=(StageTotals(stage="a", current=1),))
    there = records.run_started_event("d", "dev")
    found = folded(recorded(failed, there, RunEnded(run="d", status=Status.OK, receipt=sound)))
    assert [*found.failing["a"].partitions] == [WHOLE]
    assert found.runs == {}
    here = records.run_started_event("d")
    found = folded(recorded(failed, here, RunEnded(run="d", status=Status.OK, receipt=sound)))
    assert found.failing == {}


def test_a_new_recipe_begins_a_new_series() -> None:
    run: list[Event] = [
        records.run_started_event("r"),
        attempted(run="r"),
        RunEnded(run="r", status=Status.OK),
    ]
    found = folded(recorded(*run))
    assert len(found.series["a"]["run"].runs) == 1
    assert found.runs == {"ok": 1}
    changed = RecipeChanged(environment="prod", stage="a", recipe="new", parts={})
    assert folded(recorded(*run, changed)).series == {}


def test_a_branch_begins_with_nothing() -> None:
    created = EnvironmentCreated(environment="prod", parent="dev")
    found = folded(recorded(attempted(), records.published_event(stage="a"), created))
    assert (found.series, found.watermarks) == ({}, {})
    assert found.totals["a"].attempts == 1


def test_the_delay_of_new_files() -> None:
    file = SourceFile(
        path="f", size=1, mtime_ns=int((NOW + 5) * 1e9), digest="d", rows={"2013-03-07": 1}
    )
    events: list[Event] = [
        SourceSeen(environment="prod", stage="a"),
        records.run_started_event("r2"),
        SourceSeen(environment="prod", stage="a", files=(file,)),
        records.published_event(stage="a"),
        records.published_event(stage="b"),
    ]
    found = empty()
    for seq, event in enumerate(events):
        found.note(RecordedEvent(seq=seq, at=NOW + 3 * seq, event=event))
    assert found.delays == {"a": {"2001-09-09": {4: 1}}, "b": {"2001-09-09": {7: 1}}}


def test_runs_cost_what_prices_were_when_they_began() -> None:
    first, later = (
        PriceBook(prices=(Price(cpu_hour=n, currency="EUR"),)) for n in (3600.0, 7200.0)
    )
    prices = PriceHistory(books=((1, first), (3, later)))
    metrics = empty()
    events: list[Event] = [
        records.run_started_event("r1"),
        attempted(run="r1", cpu_s=1.0),
        attempted(run="other", cpu_s=1.0),
        attempted(run="r1", cpu_s=1.0),
    ]
    for seq, event in enumerate(events, 1):
        metrics.note(RecordedEvent(seq=seq, at=NOW, event=event), prices)
    assert metrics.totals["a"].amounts == {"EUR": 4.0}
    assert metrics.days["a"]["2001-09-09"].amounts == {"EUR": 4.0}


def test_what_was_served() -> None:
    usage = ServedUsage(
        endpoint="e", version="1", requests=10, rows=10, cpu_s=36, idle_cpu_s=0, memory_gb_s=0,
        wall_s=1, errors={"500": 3}, latency=(4, *[0] * 30, 6),
    )  # fmt: skip
    served = Served(environment="prod", since=NOW - 60, until=NOW, usages=(usage,), cpu_hour=1.0)
    other = replace(served, usages=(replace(usage, endpoint="other"),))
    found = folded(recorded(served, other, served))
    assert found.endpoints["e"]["2001-09-09"].amounts == {"USD": pytest.approx(0.02)}
    assert found.counts["up"].within(DAY, NOW) == (14, 6)
    assert found.counts["quick"].within(DAY, NOW) == (8, 12)
    assert sorted(found.detectors) == ["quick", "up"]


def test_old_days_are_forgotten() -> None:
    found = empty()
    for day in range(100):
        both: list[Event] = [attempted(), records.published_event(stage="a")]
        for event in both:
            found.note(RecordedEvent(seq=day, at=NOW + day * DAY, event=event))
    found.prune(NOW + 100 * DAY)
    assert len(found.days["a"]) == 35
    assert found.totals["a"].attempts == 100
    assert len(found.counts["steps"].hours) <= 29


STAGES = st.sampled_from(["a", "b"])
ATTEMPTS = st.builds(
    attempted,
    stage=STAGES,
    partition=st.sampled_from(["2013-03-07", "2013-03-08"]),
    environment=st.sampled_from(["prod", "prod", "dev"]),
    action=st.sampled_from(["run", "train", "trial", "gate"]),
    outcome=st.sampled_from(Outcome),
    wall_s=st.floats(0, 1e4),
    cpu_s=st.floats(0, 1e4),
    queued_s=st.floats(0, 1e3),
    rows_in=st.integers(0, 99),
    rows_out=st.integers(0, 99),
    bytes_in=st.integers(0, 99),
    bytes_out=st.integers(0, 99),
    quarantined=st.integers(0, 9),
    memo=st.none() | st.builds(MemoUsage, spent=st.floats(0, 5)),
    message=st.sampled_from(["", "it failed"]),
    findings=st.sampled_from([(), (Finding(rule="r", severity="fail", rows=1),)]),
)
OTHERS = st.one_of(
    st.builds(
        records.published_event,
        st.sampled_from(["2013-03-07", "2013-03-08"]),
        stage=STAGES,
        environment=st.sampled_from(["prod", "dev"]),
    ),
    st.builds(records.removed_event, stage=STAGES),
    st.builds(
        RecipeChanged,
        environment=st.just("prod"),
        stage=STAGES,
        recipe=st.just("r"),
        parts=st.just({}),
    ),
)
# Runs of some events, at times of a clock that is sometimes put back.
HISTORIES = st.lists(
    st.tuples(st.floats(-2, 20), st.lists(ATTEMPTS | OTHERS, min_size=1, max_size=6)), max_size=12
)


def history(runs: list[tuple[float, list[Event]]]) -> list[RecordedEvent]:
    facts: list[RecordedEvent] = []
    at = NOW
    for number, (hours, events) in enumerate(runs):
        at += hours * 3600
        own = [replace(e, run=f"r{number}") if isinstance(e, Attempted) else e for e in events]
        began = records.run_started_event(f"r{number}")
        ended = RunEnded(run=f"r{number}", status=Status.OK)
        facts += [
            RecordedEvent(seq=len(facts) + n, at=at, event=e)
            for n, e in enumerate([began, *own, ended], 1)
        ]
    return facts


@given(HISTORIES)
def test_sums_are_those_of_a_loop_over_all_events(runs: list[tuple[float, list[Event]]]) -> None:
    facts = history(runs)
    found = folded(facts)
    own = [
        (fact.at, fact.event.attempt)
        for fact in facts
        if isinstance(fact.event, Attempted) and fact.event.environment == "prod"
    ]
    work = [
        attempt
        for _, attempt in own
        if attempt.action in ("run", "train")
        and attempt.outcome in (Outcome.OK, Outcome.FAILED, Outcome.RETRIED)
    ]
    for stage in {attempt.stage for _, attempt in own}:
        total = found.totals[stage].performance(stage)
        mine = [attempt for attempt in work if attempt.stage == stage]
        assert total.attempts == len(mine)
        assert total.failed == sum(a.outcome is not Outcome.OK for a in mine)
        assert total.rows_out == sum(a.rows_out for a in mine)
        assert total.charged_cpu_s == pytest.approx(
            sum(a.cpu_s for _, a in own if a.stage == stage), abs=1e-4
        )
        assert total.spent == pytest.approx(
            sum(a.memo.spent for _, a in own if a.stage == stage and a.memo), abs=1e-6
        )
        assert sum(tally.attempts for tally in found.days[stage].values()) == len(mine)
    expected = Counter((a.stage, str(a.outcome)) for _, a in own)
    assert expected == Counter(
        {(stage, o): n for stage, counts in found.outcomes.items() for o, n in counts.items()}
    )


@given(HISTORIES)
def test_compaction_changes_no_figure(runs: list[tuple[float, list[Event]]]) -> None:
    """A compacted attempt has neither message nor findings nor reasons, but all figures."""
    facts = history(runs)
    compact = [
        replace(
            fact,
            event=replace(
                fact.event,
                attempt=replace(
                    fact.event.attempt, message="", trace="", reasons=(), findings=(), evidence=None
                ),
            ),
        )
        if isinstance(fact.event, Attempted)
        else fact
        for fact in facts
    ]
    one, other = folded(facts), folded(compact)
    for failing in (one.failing, other.failing):
        for failure in failing.values():
            failure.message, failure.is_contract = "", False
    assert repr(one) == repr(other)
