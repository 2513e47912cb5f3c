"""Reports as a service: what a name means, and what only the ledger tells."""

from __future__ import annotations

from pathlib import Path

import pytest

import tidemill as tm
from tests.support.commands import forgotten_imports
from tidemill.core.errors import UsageError


def test_what_a_name_means(built: Path) -> None:
    with forgotten_imports():
        project = tm.open(built)
        run = project.history.run("last").id
        reports = project.reports
        assert reports.report_on("last").name == reports.report_on(run[:-2]).name == f"run-{run}"
        assert reports.report_on("demand").kind == "model"
        assert reports.report_on("week").kind == "week"
        with pytest.raises(UsageError, match=r"no model 'last' \(there is: demand\), and only"):
            reports.report_on("last", "abc")
        project.run(again=True, stage="labels")
        with pytest.raises(UsageError, match="2 runs begin with '2', such as"):
            reports.report_on("2")


def test_a_run_has_the_decisions_that_fell_in_it(built: Path) -> None:
    with forgotten_imports():
        project = tm.open(built)
        first = project.history.run("last").id
        project.run(again=True, stage="labels")
        assert "beats_baseline(mae)" in project.reports.run(first).html
        assert "beats_baseline(mae)" not in project.reports.run("last").html
