"""`tidemill drift`: a line per column, with small histograms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.drifting import CALM, MOVED, WATCHED, send, settle
from tests.support.tides import Tides, day
from tidemill.cli import cli
from tidemill.cli.drift import sparkline


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tides = Tides(tmp_path, WATCHED)
    send(tides, [*CALM, *MOVED])
    settle(tides)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_shows_the_alarm_and_what_changed(folder: Path) -> None:
    found = CliRunner().invoke(cli, ["-w", "tides:flow", "drift", "raw"])
    assert found.exit_code == 0, found.output
    lines = found.output.splitlines()
    assert lines[0] == f"raw {day(15)}: drift alarm, carried by value"
    assert lines[1] == f"  compared with {day(5)} .. {day(14)} (10)"
    assert "█" in lines[-1]
    assert lines[-1].split()[:2] == ["value", "100%"]


def test_a_first_partition_has_no_reference(folder: Path) -> None:
    found = CliRunner().invoke(cli, ["-w", "tides:flow", "drift", "raw", day(0)])
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[-1].split()[-2:] == ["no", "reference"]


def test_it_writes_json(folder: Path) -> None:
    found = CliRunner().invoke(cli, ["-w", "tides:flow", "drift", "raw", "--json"])
    body = json.loads(found.stdout)
    assert body["schema"] == "tidemill.drift/1"
    assert body["drift"]["alarm"]["partition"] == day(15)
    assert len(body["drift"]["columns"][0]["shares"]["then"]) == 12


@pytest.mark.parametrize(
    ("shares", "drawn"), [([0.0, 0.1, 0.4, 0.8], " ▁▄█"), ([], ""), ([1.0], "█")]
)
def test_blocks_grow_with_shares(shares: list[float], drawn: str) -> None:
    assert sparkline(shares, 1.0 if shares == [1.0] else 0.8) == drawn


def test_nothing_is_drawn_without_values() -> None:
    assert sparkline([0.0], 0.0) == ""
