"""What is wrong now, in one form."""

from __future__ import annotations

from tests.operations.test_objectives import DAY, FRESH, HOUR, NOW, counted, metrics
from tests.operations.test_run_series import History, attempt
from tidemill.operations.problem import ProblemKind, ProblemSeverity
from tidemill.operations.problems import find_problems, stale_stages
from tidemill.operations.stage_failures import StageFailure
from tidemill.operations.watermarks import StageWatermark
from tidemill.workflow.memo import MemoUsage


def test_nothing_is_wrong() -> None:
    assert find_problems(metrics(), NOW) == ()


def test_a_failed_stage() -> None:
    found = metrics()
    found.failing["fea\ntures"] = StageFailure(
        partitions={"2013-01-01": 10.0, "2013-01-02": 5.0}, run="r7", fate="oom", message="it\ngrew"
    )
    (problem,) = find_problems(found, NOW)
    assert (problem.kind, problem.severity) == (ProblemKind.FAILED_STAGE, ProblemSeverity.TICKET)
    assert problem.key == "failed-stage/prod/fea\ntures"
    assert problem.title == "fea\\ntures fails: 2 partitions"
    assert problem.since == 5
    assert problem.evidence == {
        "partitions": "2013-01-01 .. 2013-01-02 (2)",
        "message": "it\\ngrew",
        "ended by": "oom",
        "run": "r7",
    }


def test_a_broken_contract_is_the_same_problem_of_another_kind() -> None:
    found = metrics()
    found.failing["a"] = StageFailure(partitions={"all": 5.0}, run="r7", is_contract=True)
    (problem,) = find_problems(found, NOW)
    assert (problem.kind, problem.key) == (ProblemKind.BROKEN_CONTRACT, "failed-stage/prod/a")
    assert problem.title == "a breaks its contract"
    assert problem.command == "tidemill runs logs r7 a"


def test_stale_stages_by_the_strictest_limit() -> None:
    found = metrics(FRESH)
    found.watermarks["a"] = StageWatermark(partitions={"1": NOW - 20 * HOUR})
    found.watermarks["b"] = StageWatermark(partitions={"1": NOW - 20 * HOUR})
    limits = {"a": 40 * HOUR, "b": 4 * HOUR, "unknown": 1.0}
    assert [(each.stage, each.within) for each in stale_stages(found, NOW, limits)] == [
        ("b", 4 * HOUR)
    ]
    (problem,) = find_problems(found, NOW, {"b": 4 * HOUR})
    assert problem.kind is ProblemKind.STALE_STAGE
    assert problem.title == "b is stale: its data are 20 h old, not within 4 h"
    assert problem.since == NOW - 16 * HOUR
    assert len([*stale_stages(found, NOW + DAY, limits)]) == 2


def test_an_objective_at_risk() -> None:
    (problem,) = find_problems(counted((60, 500, 700)), NOW)
    assert (problem.kind, problem.severity) == (
        ProblemKind.OBJECTIVE_BREACH,
        ProblemSeverity.PAGE,
    )
    assert problem.key == "objective-breach/prod/steps"
    assert problem.evidence == {
        "target": "99.000% success in 28 d",
        "achieved": "41.667%",
        "budget left": "-5733%",
    }
    assert problem.command == "tidemill slo"


def test_what_is_unusual_of_a_stage_is_one_problem() -> None:
    history = History()
    history.quiet(60)
    for _ in range(3):
        history.run(attempt(300, 500, cpu_s=300.0, bytes_out=9, quarantined=400))
    found = metrics()
    found.series = {"a": {"run": history.series}, "b": {"train": history.series}}
    one, other = find_problems(found, NOW)
    assert (one.kind, one.severity, one.key) == (
        ProblemKind.ANOMALY,
        ProblemSeverity.NOTE,
        "anomaly/prod/a",
    )
    assert one.title.startswith("a is unusual: its latency is 300 s, usually 9")
    assert [*one.evidence] == ["latency", "CPU time", "rows", "bytes", "quarantine rate"]
    assert one.evidence["rows"].startswith("500 rows, usually ")
    assert one.evidence["rows"].endswith("(by 8 runs of that weekday), for 3 runs")
    assert one.evidence["quarantine rate"].startswith("44.44%, usually 0.")
    assert next(iter(other.evidence)) == "latency (train)"


def test_unusual_spending() -> None:
    history = History()
    for _ in range(30):
        history.run(attempt(memo=MemoUsage(spent=1.0)))
    for _ in range(3):
        history.run(attempt(memo=MemoUsage(spent=4.0)))
    found = metrics()
    found.series = {"a": {"run": history.series}}
    (problem,) = find_problems(found, NOW)
    assert problem.title == "a is unusual: its spending is 4, usually 1"
