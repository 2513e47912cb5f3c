"""The clock of a project is the system's, or one in a file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.project.clock import VARIABLE, project_clock, set_clock
from tidemill.project.project import open_project


def test_without_a_file_it_is_the_clock_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert project_clock() is time.time


def test_it_stands_still_until_the_file_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "clock"
    monkeypatch.setenv(VARIABLE, str(file))
    set_clock(file, 1_385_856_000.5)
    clock = project_clock()
    assert [clock(), clock()] == [1_385_856_000.5] * 2
    set_clock(file, 1_385_942_400.0)
    assert clock() == 1_385_942_400.0


@pytest.mark.parametrize("text", [None, "", "today", "nan", "inf", "-1", "0"])
def test_a_file_without_a_time_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "clock"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv(VARIABLE, str(file))
    with pytest.raises(UsageError, match=f"{VARIABLE} names {file}"):
        project_clock()


def test_runs_happen_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh: Path) -> None:
    file = tmp_path / "clock"
    set_clock(file, 1_385_856_000.0)
    monkeypatch.setenv(VARIABLE, str(file))
    with open_project(fresh) as opened:
        opened.run()
        stored = [each.written for each in opened.tools.artifacts.stored()]  # type: ignore[attr-defined]
        assert {run.started for run in opened.runs()} == {1_385_856_000.0}
    assert {*stored} == {1_385_856_000.0}
