"""The service of metrics, without a workflow, as what watches a project uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill as tm
from tests.operations.test_ledger_metrics import NOW, attempted
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.run import Outcome
from tidemill.operations.metrics_settings import MetricsSettings
from tidemill.operations.objective_settings import DAY, Objective, ObjectiveKind
from tidemill.operations.problem import ProblemKind
from tidemill.ports.ledger import Ledger
from tidemill.project.metrics import Metrics, freshness_limits
from tidemill.project.settings import Settings
from tidemill.testing import records
from tidemill.testing.doubles import MemoryLedger
from tidemill.workflow.seal import seal

OBJECTIVE = Objective(name="steps", kind=ObjectiveKind.SUCCESS, subject="a", target=0.9)


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "ledger.db")


def opened(ledger: Ledger, root: Path, now: float = NOW) -> Metrics:
    (root / ".tidemill").mkdir(exist_ok=True)
    settings = Settings(
        root=root,
        workflow="m:flow",
        cpu_hour=3600.0,
        tables={"metrics": MetricsSettings(zone="America/New_York"), "slo": (OBJECTIVE,)},
    )
    return Metrics(
        ledger, "prod", settings, workflow="w", clock=lambda: now, freshness={"a": 3600.0}
    )


def test_everything_from_the_ledger_alone(ledger: Ledger, tmp_path: Path) -> None:
    events = [attempted(cpu_s=1.0, partition=str(n)) for n in range(5)]
    ledger.append([*events, attempted("b", outcome=Outcome.FAILED)], now=NOW - 40 * DAY)
    ledger.append([*events, records.published_event(stage="a")], now=NOW - DAY)
    metrics = opened(ledger, tmp_path)
    report = metrics.report()
    assert (report.first_day, report.zone) == ("2001-08-11", "America/New_York")
    (stage, failing) = report.stages
    assert (stage.performance.attempts, stage.cost) == (5, 5.0)
    assert failing.performance.attempts == 0
    whole, failed = metrics.report(50 * DAY).stages
    assert (whole.performance.attempts, failed.performance.failed) == (10, 1)
    assert [day.key for day in metrics.by_day("a", 50 * DAY).stages] == ["2001-07-30", "2001-09-07"]
    assert [day.key for day in metrics.by_day("a").stages] == ["2001-09-07"]
    partitions = metrics.by_partition("a", 50 * DAY).stages
    assert [(each.key, each.performance.attempts) for each in partitions] == [
        (str(number), 2) for number in range(5)
    ]
    (objective,) = metrics.objectives()
    assert (objective.good, objective.bad) == (5, 0)
    kinds = [problem.kind for problem in metrics.problems()]
    assert kinds == [ProblemKind.FAILED_STAGE, ProblemKind.STALE_STAGE]
    assert "tidemill_stage_attempts_total" in {family.name for family in metrics.families()}
    assert metrics.read().totals["a"].attempts == 10


def test_metrics_stay_when_they_are_opened_again(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    ledger.append([attempted(partition=str(n)) for n in range(300)], now=NOW)
    first = opened(ledger, tmp_path).families()
    assert [*(tmp_path / ".tidemill" / "metrics").iterdir()]
    assert opened(ledger, tmp_path).families() == first


def test_counters_never_go_back(tmp_path: Path) -> None:
    """Also where clocks do, and over days that are forgotten and processes that end."""
    ledger = MemoryLedger()
    known: dict[tuple[str, ...], float] = {}
    for day, offset in ((0, 0.0), (1, -9 * DAY), (50, 0.0), (90, 0.0), (400, 0.0)):
        now = NOW + day * DAY
        ledger.append(
            [attempted(rows_in=3, partition=str(n)) for n in range(250)], now=now + offset
        )
        for family in opened(ledger, tmp_path, now).families():
            if family.kind != "counter":
                continue
            for labels, value in family.points:
                assert isinstance(value, int | float)
                key = (family.name, *labels.values())
                assert value >= known.get(key, 0)
                known[key] = value
    assert known["tidemill_stage_read_rows_total", "w", "prod", "a"] == 5 * 250 * 3


class Day(tm.Contract, version="1.0.0", key=("date",)):
    date = tm.Date(partition="1d")
    seen = tm.Datetime()
    freshness = tm.Freshness("date", within="2d")
    soon = tm.Freshness("seen", within="26h")


def test_limits_of_freshness_by_contract() -> None:
    flow = tm.Workflow("w")

    @flow.ingest(start="2013-01-01")
    def days() -> tm.Source[Day]:
        return tm.files("*.parquet")

    assert freshness_limits(seal(flow)) == {"days": 26 * 3600.0}
