"""Open a home that the previous version wrote: its ledger as SQL text, its objects as they were."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.project.project import Project

PREVIOUS = Path(__file__).parent / "previous_home"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    home = tmp_path / ".tidemill"
    shutil.copytree(PREVIOUS / "objects", home / "objects")
    shutil.copy(PREVIOUS / "probes.json", home)
    for name in ("flow.py", "sales.csv"):
        shutil.copy(PREVIOUS / name, tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.tidemill]\nworkflow = 'flow:flow'\n")
    database = sqlite3.connect(home / "ledger.db")
    database.executescript((PREVIOUS / "ledger.sql").read_text(encoding="utf-8"))
    database.close()
    monkeypatch.setattr(sys, "path", list(sys.path))
    project = tm.open(tmp_path)
    yield project
    project.close()
    sys.modules.pop("flow", None)


def test_its_ledger_is_not_damaged(project: Project) -> None:
    assert project.stored_state.verify().problems == ()


@pytest.mark.filterwarnings("ignore::polars.exceptions.PolarsInefficientMapWarning")
def test_only_what_reads_text_or_is_judged_by_its_code_runs_once_more(project: Project) -> None:
    plan = project.plan()
    reasons = {(step.stage, reason) for step in plan.steps for reason in step.reasons}
    changed = "the format of fingerprints changed"
    text = "the way text files are read changed"
    assert {("sales", text), ("by_code", changed), ("by_contract", changed)} <= reasons
    before = {stage: project.read(stage).collect() for stage in ("by_query", "by_code")}
    receipt = project.run()
    assert {stage.stage: (stage.ran, stage.current) for stage in receipt.stages} == {
        "sales": (2, 0),
        "by_query": (0, 2),
        "by_code": (2, 0),
        "by_contract": (2, 0),
    }
    for stage, rows in before.items():
        assert project.read(stage).collect().equals(rows)
    assert project.plan().steps == ()
