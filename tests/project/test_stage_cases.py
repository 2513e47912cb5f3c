"""Testing the stages of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import forgotten_imports
from tidemill.core.errors import DeclarationError, StorageError, UsageError
from tidemill.project.project import Project


@pytest.fixture
def project(fresh: Path) -> Project:
    with forgotten_imports():
        return tm.open(fresh)


def add(root: Path, text: str, name: str = "more.toml") -> None:
    (root / "cases" / name).write_text(text, encoding="utf-8")


def test_cases_of_a_template_pass(project: Project, fresh: Path) -> None:
    report = project.stage_cases.run()
    assert report.failed == ()
    assert len(report.results) == 3
    assert report.coverage.untested == ("weather", "demand", "demand_scores")
    assert "sales.sold.min" not in report.coverage.unbroken
    assert not (fresh / ".tidemill").exists()


def test_selected_cases(project: Project) -> None:
    assert [r.case.stage for r in project.stage_cases.run(["labels"]).results] == ["labels"]
    assert [r.case.stage for r in project.stage_cases.run(pattern="WEEKDAY").results] == [
        "features"
    ]
    assert len(project.stage_cases.run(pattern="bakery.toml").results) == 3
    with pytest.raises(UsageError, match=r"no stage 'lables'.*labels"):
        project.stage_cases.run(["lables"])
    with pytest.raises(UsageError, match=r"no case of weather.*there are cases of sales, features"):
        project.stage_cases.run(["weather"])
    with pytest.raises(UsageError, match="no case with 'x y' in its name"):
        project.stage_cases.run(pattern="x y")


def test_models_are_trained_and_scored(project: Project, fresh: Path) -> None:
    add(fresh, """
    [[case]]
    name = "few rounds"
    stage = "demand"
    params.demand.rounds = 2
    expect.predictions.min = 0

    [[case]]
    name = "scores"
    stage = "demand_scores"
    params.demand.rounds = 2
    [case.expect.scores]
    mae = {min = 0, max = 1e300}

    [[case]]
    name = "predictions"
    stage = "forecast"
    params.demand.rounds = 2
    expect.count = 70

    [[case]]
    name = "too little"
    stage = "demand"
    given.sales = [{date = 2026-01-05, hour = 7}]
    expect.error = "demand needs features, which has 2026-01-05"
    """)  # fmt: skip
    report = project.stage_cases.run(pattern="more.toml")
    assert [result.problems for result in report.results] == [()] * 4


def test_the_first_failure_ends_it(project: Project, fresh: Path) -> None:
    add(fresh, '[[case]]\nname = "no"\nstage = "labels"\nexpect.count = 0\n', "a.toml")
    report = project.stage_cases.run(fail_fast=True)
    assert (len(report.results), len(report.failed), report.left) == (1, 1, 3)
    report = project.stage_cases.run()
    assert (len(report.results), len(report.failed), report.left) == (4, 1, 0)


def test_all_faults_at_once(project: Project, fresh: Path) -> None:
    add(fresh, "[", "a.toml")
    add(fresh, '[[case]]\nname = "no"\nstage = "x"\nexpect.count = 0\n', "b.toml")
    twice = (fresh / "cases" / "bakery.toml").read_text()
    add(fresh, twice, "c.toml")
    with pytest.raises(DeclarationError) as caught:
        project.stage_cases.run()
    assert len(caught.value.faults) == 5


def test_no_cases(project: Project, fresh: Path) -> None:
    (fresh / "cases" / "bakery.toml").unlink()
    with pytest.raises(UsageError, match="there are no cases in"):
        project.stage_cases.run()


@pytest.mark.parametrize("stage", ["sales", "features", "labels"])
def test_a_case_that_is_written_passes(project: Project, fresh: Path, stage: str) -> None:
    file = project.stage_cases.scaffold(stage)
    assert file == fresh / "cases" / f"{stage}.toml"
    [result] = project.stage_cases.run(pattern=f"{stage}.toml").results
    assert result.problems == ()
    assert result.case.given
    with pytest.raises(UsageError, match="exists already"):
        project.stage_cases.scaffold(stage)
    assert not (fresh / ".tidemill").exists()


def test_a_case_is_written_from_published_rows(built: Path) -> None:
    file = built / "bakery.py"
    text = file.read_text().replace(
        'tm.Int64(min=0, unit="loaf",', 'tm.Int64(min=0, pii="till", unit="loaf",'
    )
    file.write_text(text)
    with forgotten_imports(), tm.open(built) as project:
        written = project.stage_cases.scaffold("labels").read_text()
        [result] = project.stage_cases.run(pattern="labels.toml").results
    assert result.problems == ()
    assert "date = 2026-02-01" in written
    assert "sold" not in written


def test_stages_of_which_no_case_can_be_written(project: Project, fresh: Path) -> None:
    with pytest.raises(UsageError, match="no stage 'x'"):
        project.stage_cases.scaffold("x")
    with pytest.raises(UsageError, match="demand is a model"):
        project.stage_cases.scaffold("demand")
    (fresh / "cases" / "bakery.toml").unlink()
    (fresh / "cases").rmdir()
    (fresh / "cases").write_text("a file")
    with pytest.raises(StorageError, match="can't be written"):
        project.stage_cases.scaffold("sales")
