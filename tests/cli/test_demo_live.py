"""The replay of a month: what happens on which day, and some of its days as a user would see them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tidemill.cli import demo_live
from tidemill.cli.demo import start_project
from tidemill.cli.demo_live import play_month, replayed_days
from tidemill.project.clock import VARIABLE

FIRST, LAST = demo_live._MONTH


def test_every_day_arrives_once_or_is_sent_again() -> None:
    days = [*replayed_days(FIRST, LAST)]
    arrived = [each for day in days for each in day.arrivals]
    month = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    assert sorted({*arrived}) == month
    assert [each for each in month if arrived.count(each) > 1] == [demo_live._CUT_OFF]
    assert [day.day for day in days if not day.arrivals] == [demo_live._LATE[-1]]


@pytest.mark.slow
def test_a_failed_stage_recovers_late_data_alert_and_sweeps_happen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_live, "_MONTH", (date(2013, 12, 7), date(2013, 12, 18)))
    monkeypatch.setattr(demo_live, "_HISTORY", (date(2013, 10, 1), date(2013, 12, 6)))
    monkeypatch.setattr(demo_live, "_CHANGED", date(2013, 12, 13))
    monkeypatch.setattr(demo_live, "_PATIENCE_S", 300.0)
    lines: list[str] = []

    try:
        play_month(tmp_path / "live", lines.append, start_project)
    finally:
        sys.stdout.write(told := "\n".join(lines))
    assert "incident" in told.split("cut off")[1].split("Mon 09 Dec")[0]
    assert "is over: retried" in told.split("Mon 09 Dec")[1]
    assert "is stale" in told.split("nothing has arrived for 2 days")[1].split("Tue 17 Dec")[0]
    assert "trained delay_model" in told
    assert "train delay_model waits until 2013-12-15 03:00 UTC, which saves 67 %" in told
    assert "off-peak: delay_model waited up to 2.0 h, saved" in told
    assert "--profile experiment" in told.rsplit("(exit code 5)", 1)[0].rsplit("$", 1)[1]
    assert "alert to log" in told
    assert "sweep: " in told
    assert (tmp_path / "live" / "alerts.jsonl").read_text().count("\n") >= 4
    assert "Look first at Now" in told
    assert told.endswith("TIDEMILL_CLOCK=clock tidemill console")
    verified = ended("verify", cwd=tmp_path / "live")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    monkeypatch.setenv(VARIABLE, str(tmp_path / "live" / "clock"))
    card = json.loads(ended("scorecard", "--json", cwd=tmp_path / "live").stdout)
    assert [number["name"] for number in card["numbers"] if number["missing"]] == []
    # Of the two commits one came with the first files.
    assert card["numbers"][0]["n"] == 2


def ended(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command that has ended."""
    return subprocess.run(
        [sys.executable, "-m", "tidemill", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
