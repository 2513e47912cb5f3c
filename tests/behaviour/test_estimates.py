"""The estimate of a project's plan comes from what its ledger says that steps took."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tides import CHAIN, Tides, day, flow_of
from tidemill.ledger.cost import Estimate
from tidemill.planning.plan import Plan
from tidemill.project.project import Project, open_project
from tidemill.testing.records import attempted_event


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two days of three rows that nothing was made of yet."""
    tides = Tides(tmp_path)
    tides.send(0)
    tides.send(1)
    return tides.open()


def learn(project: Project, stage: str, seconds: float, rows: int = 3) -> None:
    """An attempt with made-up seconds, in another environment."""
    took = attempted_event(
        stage, environment="dev", wall_s=seconds, cpu_s=3 * seconds, rows_in=rows, rows_out=rows
    )
    project.tools.ledger.append([took], now=1.0)


def seconds_of(plan: Plan) -> dict[str, float | None]:
    return {step.id: step.wall_s for step in plan.steps}


def test_without_history_nothing_is_said(project: Project) -> None:
    unknown = {"raw": 2, "doubled": 2, "daily": 2}
    estimate = Estimate(wall_s=None, cpu_s=None, known=0, unknown=unknown)
    assert project.plan().estimate == estimate


def test_what_took_longer_is_expected_to_take_longer(project: Project) -> None:
    found = []
    for seconds in (10.0, 30.0, 80.0):
        learn(project, "raw", seconds)
        estimate = project.plan().estimate
        assert estimate.unknown == {"doubled": 2, "daily": 2}
        assert estimate.wall_s is not None
        assert estimate.cpu_s == pytest.approx(3 * estimate.wall_s)
        found.append(estimate.wall_s)
    assert found == pytest.approx([20.0, 40.0, 80.0])  # two days, each as the mean so far


def test_more_rows_are_expected_to_take_longer_down_the_line(
    project: Project, tmp_path: Path
) -> None:
    for stage in ("raw", "doubled", "daily"):
        learn(project, stage, 10.0)
    Tides(tmp_path).send(1, [float(number) for number in range(30)])
    assert seconds_of(project.plan()) == pytest.approx(
        {
            f"run {stage}[{day(number)}]": 10.0 if number == 0 else 1.0 + 9.0 * 10
            for number in (0, 1)
            for stage in ("raw", "doubled", "daily")
        }
    )


def test_it_is_of_the_whole_ledger_and_costs_nothing_where_all_is_known(
    project: Project, tmp_path: Path
) -> None:
    project.run()
    learn(project, "raw", 1000.0)
    dev = open_project(tmp_path, workflow=flow_of(tmp_path, CHAIN), env="dev")
    plan = dev.plan()
    assert [step.action for step in plan.steps] == ["bind"] * 6
    assert plan.estimate == Estimate(wall_s=0.0, cpu_s=0.0, known=6, unknown={})
    again = dev.plan("raw", again=True)
    assert again.estimate.wall_s is not None
    assert again.estimate.wall_s > 500
