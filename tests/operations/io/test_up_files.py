"""Supervisors say what they do in files, which outlive a kill."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tidemill.ledger.io.lease_holder import this_process
from tidemill.operations.duty import Duty, DutyTask
from tidemill.operations.io import up_files as module
from tidemill.operations.io.up_files import (
    ReportFile,
    forget_killed,
    killed_at,
    read_reports,
    remove_dead_reports,
)
from tidemill.operations.up_report import UpReport, UpRole


@pytest.fixture
def report() -> UpReport:
    return UpReport(
        environment="prod",
        holder=this_process("tidemill up"),
        role=UpRole.WORKING,
        since=5.0,
        duties=(
            Duty(task=DutyTask.RUN, because="a schedule", at=7.0),
            Duty(task=DutyTask.SERVE, because="so"),
        ),
    )


def test_a_report_is_read_as_it_was_written(tmp_path: Path, report: UpReport) -> None:
    file = ReportFile(tmp_path)
    file.write(report)
    assert read_reports(tmp_path, "prod") == ([report], [])
    assert read_reports(tmp_path, "dev") == ([], [])
    (path,) = (tmp_path / "up").iterdir()
    before = path.stat().st_ino
    file.write(report)
    assert path.stat().st_ino == before
    file.write(replace(report, held="the code"))
    assert read_reports(tmp_path, "prod")[0][0].held == "the code"
    assert path.stat().st_mode & 0o077 == 0
    file.close()
    assert read_reports(tmp_path, "prod") == ([], [])
    file.close()


def test_reports_of_the_killed_are_told_apart(tmp_path: Path, report: UpReport) -> None:
    dead = replace(report, holder={**report.holder, "started": "before the last boot"})
    ReportFile(tmp_path).write(dead)
    (tmp_path / "up" / "broken.json").write_text("{")
    assert read_reports(tmp_path, "prod") == ([], [dead])
    remove_dead_reports(tmp_path)
    assert read_reports(tmp_path, "prod") == ([], [])


def test_each_start_has_a_file_of_its_own(tmp_path: Path, report: UpReport) -> None:
    # Process 1 of a container is followed by process 1 of the next one.
    ReportFile(tmp_path).write(replace(report, holder={**report.holder, "started": "before"}))
    ReportFile(tmp_path).write(report)
    alive, dead = read_reports(tmp_path, "prod")
    assert (len(alive), len(dead)) == (1, 1)


def test_one_on_another_host_is_dead_once_it_is_silent(
    tmp_path: Path, report: UpReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = replace(report, holder={**report.holder, "host": "f3a9"}, workflow="shop")
    file = ReportFile(tmp_path)
    file.write(elsewhere)
    (path,) = (tmp_path / "up").iterdir()
    os.utime(path, (5.0, 5.0))
    assert read_reports(tmp_path, "prod") == ([], [elsewhere])
    # One that has nothing new to say shows that it lives.
    monkeypatch.setattr(module, "_SIGN_S", 0.0)
    file.write(elsewhere)
    assert read_reports(tmp_path, "prod") == ([elsewhere], [])
    assert killed_at(tmp_path, "shop", "prod") is None
    os.utime(path, (5.0, 5.0))
    assert killed_at(tmp_path, "shop", "prod") == 5.0
    assert killed_at(tmp_path, "store", "prod") is None
    remove_dead_reports(tmp_path)
    forget_killed(tmp_path, "store", "prod")
    assert killed_at(tmp_path, "shop", "prod") == 5.0
    forget_killed(tmp_path, "shop", "prod")
    assert killed_at(tmp_path, "shop", "prod") is None


def test_a_home_that_cannot_be_written_stops_nothing(tmp_path: Path, report: UpReport) -> None:
    os.close(os.open(tmp_path / "up", os.O_CREAT))
    file = ReportFile(tmp_path)
    file.write(report)
    file.close()
    assert (tmp_path / "up").is_file()
