"""The metrics of stages as families."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.operations.test_ledger_metrics import NOW, OBJECTIVES, attempted, folded, recorded
from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.ledger.event import Event, RunEnded
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Outcome, Status
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.problem import Problem
from tidemill.operations.problems import find_problems
from tidemill.operations.stage_families import estimate_families, limit_series, stage_families
from tidemill.serving.metric_families import Family
from tidemill.serving.metrics_text import metrics_text
from tidemill.testing import records
from tidemill.workflow.memo import MemoUsage

ODD = 'fe"a\\t\nures'
BOOK = PriceBook(prices=(Price(cpu_hour=3600.0, currency="EUR"),))
EVENTS: list[Event] = [
    records.run_started_event("run-1"),
    attempted(wall_s=0.2, cpu_s=1.0, rows_in=5, memo=MemoUsage(spent=0.5)),
    attempted(partition="2013-03-08", wall_s=99999.0),
    attempted(ODD, outcome=Outcome.FAILED, wall_s=1.0),
    records.published_event(stage="a"),
    RunEnded(run="run-1", status=Status.FAILED),
]


def values(metrics: LedgerMetrics, problems: tuple[Problem, ...] = ()) -> dict[object, float]:
    """The samples by name and labels, as a parser of Prometheus reads them."""
    text = metrics_text(stage_families(metrics, problems, NOW, "w"))
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_parser_reads_them() -> None:
    metrics = folded(recorded(*EVENTS), BOOK)
    found = values(metrics, find_problems(metrics, NOW))
    prod = ("environment", "prod")
    flow = ("workflow", "w")
    stage = ("stage", "a")
    expected = {
        ("tidemill_stage_attempts_total", prod, ("outcome", "ok"), stage, flow): 2,
        ("tidemill_stage_attempts_total", prod, ("outcome", "failed"), ("stage", ODD), flow): 1,
        ("tidemill_stage_cpu_seconds_total", prod, stage, flow): 1.0,
        ("tidemill_stage_cost_total", ("currency", "EUR"), prod, stage, flow): 1.5,
        ("tidemill_stage_read_rows_total", prod, stage, flow): 5,
        ("tidemill_stage_duration_seconds_bucket", prod, ("le", "0.25"), stage, flow): 1,
        ("tidemill_stage_duration_seconds_bucket", prod, ("le", "14400.0"), stage, flow): 1,
        ("tidemill_stage_duration_seconds_count", prod, stage, flow): 2,
        ("tidemill_stage_failing_partitions", prod, ("stage", ODD), flow): 1,
        ("tidemill_stage_failing_partitions", prod, stage, flow): 0,
        # The partition is of 2013, and has been published before it began.
        ("tidemill_stage_watermark_timestamp_seconds", prod, stage, flow): NOW,
        ("tidemill_stage_freshness_seconds", prod, stage, flow): 0,
        ("tidemill_stage_published_timestamp_seconds", prod, stage, flow): NOW,
        ("tidemill_runs_total", prod, ("status", "failed"), flow): 1,
        ("tidemill_objective_target", prod, ("objective", "steps"), flow): 0.9,
        ("tidemill_objective_achieved", prod, ("objective", "steps"), flow): 1,
        ("tidemill_objective_burn_rate", prod, ("objective", "steps"), ("window", "6h"), flow): 0,
        ("tidemill_problems", prod, ("kind", "failed stage"), ("severity", "ticket"), flow): 1,
        ("tidemill_ledger_event_number", prod, flow): 6,
    }
    assert {key: found.get(key) for key in expected} == expected
    windows = {dict(key[1:])["window"] for key in found if key[0] == "tidemill_objective_burn_rate"}  # type: ignore[index]
    assert windows == {"5m", "30m", "1h", "6h", "72h"}


def test_the_error_of_estimates_is_a_metric_once_there_is_one() -> None:
    assert estimate_families(EstimateErrors(), {}) == []
    (family,) = estimate_families(EstimateErrors(runs=3, median_error=0.1, bias=0.1), {"a": "b"})
    assert (family.name, family.points) == (
        "tidemill_cost_estimate_error_ratio",
        [({"a": "b"}, 0.1)],
    )


def test_nothing_ran_yet() -> None:
    names = {
        family.name
        for family in stage_families(LedgerMetrics(environment="prod", zone="UTC"), (), NOW, "w")
    }
    assert names == {"tidemill_ledger_event_number"}
    assert len(OBJECTIVES) == 4


def test_partitions_are_no_labels() -> None:
    many = [attempted(partition=str(number)) for number in range(500)]
    few = stage_families(folded(recorded(*many[:5])), (), NOW, "w")
    found = stage_families(folded(recorded(*many)), (), NOW, "w")
    assert [len(family.points) for family in found] == [len(family.points) for family in few]


def test_no_more_series_than_a_reader_bears() -> None:
    many = Family("many", "gauge", "", [({"stage": str(number)}, number) for number in range(5)])
    few = Family("few", "gauge", "", [({}, 1)])
    assert limit_series([many, few], 5) == [many, few]
    first, second, lost = limit_series([many, few], 3)
    assert (first.points, second) == (many.points[:3], few)
    assert (lost.name, lost.points) == ("tidemill_left_out_series", [({}, 2)])
