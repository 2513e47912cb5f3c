"""Problems that the events of a ledger tell of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidemill.core.partition import WHOLE
from tidemill.governance.review_state import fold_reviews
from tidemill.ledger.binding import Mark
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    Attempted,
    Delivered,
    DriftAlarmed,
    DriftJudged,
    Event,
    RecipeChanged,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
    Settled,
)
from tidemill.ledger.governance_events import ReviewExtended, ReviewOpened
from tidemill.ledger.run import Attempt, Outcome, Receipt, StageTotals, Status
from tidemill.operations.ledger_problems import (
    ACTIVITY_EVENTS,
    StageActivity,
    activity_problems,
    delivery_problems,
    disk_problems,
    late_work_problems,
    review_problems,
    supervisor_problems,
)
from tidemill.operations.problem import Problem, ProblemKind
from tidemill.testing import records
from tidemill.testing.off_peak_records import deferred_work

PROD = "prod"


def attempted(outcome: Outcome, run: str = "r1", partition: str = "p1", **terms: Any) -> Attempted:
    attempt = Attempt(stage="raw", partition=partition, action="run", outcome=outcome, **terms)
    return Attempted(run=run, environment=PROD, attempt=attempt)


def started(run: str, command: str = "tidemill run") -> RunStarted:
    return RunStarted(run=run, environment=PROD, command=command, holder={}, steps=1)


def after(*events: Event) -> StageActivity:
    activity = StageActivity(PROD)
    for number, event in enumerate(events, 1):
        activity.apply(RecordedEvent(seq=number, at=float(number), event=event))
    return activity


def problems(*events: Event) -> list[Problem]:
    return [*activity_problems(after(*events))]


def test_a_stage_fails_until_each_partition_succeeded() -> None:
    failed = [
        attempted(Outcome.FAILED, partition="p1"),
        attempted(Outcome.FAILED, partition="p2", run="r2"),
    ]
    ok = attempted(Outcome.OK, partition="p1", run="r3")
    assert after(*failed).failing == {"raw": {"p1", "p2"}}
    assert after(*failed, ok).failing == {"raw": {"p2"}}
    assert after(*failed, ok, attempted(Outcome.BOUND, partition="p2", run="r3")).failing == {}
    gone = [Removed(environment=PROD, stage="raw", partition=p, run="r") for p in ("p1", "p2")]
    assert after(*failed, *gone).failing == {}
    assert after(attempted(Outcome.RETRIED)).failing == {}


def settled(stage: str, environment: str = PROD) -> Settled:
    mark = Mark(signature="s", partitions=3)
    return Settled(environment=environment, stage=stage, mark=mark)


def test_a_stage_that_is_up_to_date_succeeded_without_an_attempt() -> None:
    failed = attempted(Outcome.FAILED)
    assert after(failed, settled("raw")).facts.successes == {"raw": (2.0,)}
    assert after(failed, settled("raw", "dev")).failing == {"raw": {"p1"}}


def test_a_stage_that_was_well_stays_so() -> None:
    assert after(settled("raw")).facts.successes == {}


def test_successes_count_by_run_and_end_with_a_failure() -> None:
    ok = [attempted(Outcome.OK, run, partition) for run in ("r1", "r2") for partition in "ab"]
    assert after(*ok).facts.successes == {"raw": (1.0, 3.0)}
    assert after(*ok, attempted(Outcome.FAILED, "r3")).facts.successes == {"raw": ()}
    # A stage succeeded only if none of its partitions fails.
    half = [attempted(Outcome.FAILED, "r3", "x"), attempted(Outcome.OK, "r4", "y")]
    assert after(*ok, *half).facts.successes == {"raw": ()}
    many = [attempted(Outcome.OK, f"r{n}") for n in range(9)]
    assert after(*many).facts.successes == {"raw": (6.0, 7.0, 8.0, 9.0)}


def test_what_changed_and_was_rolled_back() -> None:
    delivery = records.delivered_event().delivery
    rolled = Delivered(environment=PROD, delivery=replace(delivery, name="m", rollback=True))
    changed = RecipeChanged(environment=PROD, stage="raw", recipe="r", parts={})
    forward = Delivered(environment=PROD, delivery=replace(delivery, name="n"))
    facts = after(changed, rolled, forward).facts
    assert (facts.changed, facts.rolled_back) == ({"raw": 1.0}, {"m": 2.0})


def test_a_lost_run_is_over_when_another_one_succeeds() -> None:
    lost: list[Event] = [started("r1"), RunEnded(run="r1", status=Status.LOST)]
    [problem] = problems(*lost)
    assert (problem.kind, problem.since, problem.command) == (
        ProblemKind.LOST_RUN, 1.0, "tidemill runs show r1",
    )  # fmt: skip
    failed: list[Event] = [started("r2"), RunEnded(run="r2", status=Status.FAILED)]
    assert len(problems(*lost, *failed)) == 1
    assert problems(*lost, started("r3"), RunEnded(run="r3", status=Status.OK)) == []
    # The start of the run isn't known.
    assert problems(RunEnded(run="r0", status=Status.LOST)) == []


def test_a_table_drifts_until_a_verdict_without_investigation() -> None:
    alarmed, judged = records.drift_alarmed_event(), records.drift_judged_event()
    assert isinstance(alarmed, DriftAlarmed)
    assert isinstance(judged, DriftJudged)
    [problem] = problems(alarmed, replace(alarmed, partition="later"))
    assert (problem.kind, problem.since, problem.stage) == (ProblemKind.DRIFT, 1.0, alarmed.stage)
    open_verdict = replace(judged, verdict=replace(judged.verdict, investigate=("rule",)))
    assert len(problems(alarmed, open_verdict)) == 1
    quiet = replace(judged, stage=alarmed.stage, verdict=replace(judged.verdict, investigate=()))
    assert problems(alarmed, quiet) == []
    assert {*ACTIVITY_EVENTS} > {"DriftAlarmed", "Settled", "RunEnded"}


def test_deliveries_are_stuck_after_a_while() -> None:
    effect = Effect(key="k", stage="out", partition="p", action="write", target="s3://b", at=100.0)
    older = replace(effect, partition="q", at=50.0)

    def stuck(*effects: Effect, now: float, env: str = PROD) -> list[tuple[str, float, str]]:
        found = delivery_problems(effects, env, 60.0, now)
        return [(each.evidence["partition"], each.since, each.command) for each in found]

    assert stuck(effect, now=160.0) == []
    assert stuck(effect, older, now=161.0) == [("q", 50.0, "tidemill run out")]
    assert stuck(effect, now=161.0, env="dev") == [("p", 100.0, "tidemill run out --env dev")]
    assert stuck(replace(effect, at=0.0), now=1e9) == []


def test_reviews_are_overdue_when_their_time_is_over_or_was_extended() -> None:
    opened = RecordedEvent(
        seq=1, at=100.0, event=ReviewOpened(environment=PROD, review=records.review())
    )
    extended = RecordedEvent(
        seq=2, at=1_001.0, event=ReviewExtended(environment=PROD, review="r1", expires=9_000.0)
    )

    def overdue(*facts: RecordedEvent, now: float) -> list[tuple[float, str]]:
        found = review_problems(fold_reviews(facts, PROD).values(), PROD, now)
        return [(each.since, each.command) for each in found]

    assert overdue(opened, now=200.0) == []
    assert overdue(opened, now=1_000.0) == [(1_000.0, "tidemill review show r1")]
    assert overdue(opened, extended, now=1_002.0) == [(1_000.0, "tidemill review show r1")]


def test_a_disk_is_full_below_a_limit() -> None:
    assert [*disk_problems(100, 100, PROD, 5.0)] == []
    [problem] = disk_problems(99_000_000, 100_000_000, PROD, 5.0)
    assert (problem.kind, problem.evidence) == (ProblemKind.DISK_SPACE, {"free": "99 MB"})


def test_a_supervisor_that_was_killed() -> None:
    assert [*supervisor_problems(None, PROD)] == []
    [problem] = supervisor_problems(5.0, PROD)
    assert (problem.kind, problem.since) == (ProblemKind.SUPERVISOR_DOWN, 5.0)
    # It may have been stopped, and live.
    assert "or stopped showing signs of life" in problem.title


def test_a_run_that_reads_all_sources_ends_their_failure() -> None:
    failed = attempted(Outcome.FAILED, partition=WHOLE)
    sound = Receipt(run="r2", status=Status.OK, stages=(StageTotals(stage="raw", current=3),))
    ended = RunEnded(run="r2", status=Status.OK, receipt=sound)
    activity = after(failed, started("r2"), ended)
    assert (activity.failing, activity.successes["raw"]) == ({}, (3.0,))
    other = attempted(Outcome.FAILED, partition="p1")
    assert after(failed, other, started("r2"), ended).failing == {"raw": {"p1"}}


def test_work_that_waited_until_it_was_late() -> None:
    work = deferred_work()
    assert [*late_work_problems([work], "dev", work.deadline)] == []
    (found,) = late_work_problems([work], "dev", work.deadline + 60)
    assert (found.kind, found.key, found.since) == (
        *(ProblemKind.LATE_WORK, "late-work/dev/model/train", work.deadline),
    )
    assert (found.title, found.command) == (
        *("train model waited until it was late", "tidemill plan --env dev"),
    )
