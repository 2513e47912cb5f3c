"""`tidemill slo`: how objectives are met."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tidemill.project.clock import VARIABLE, set_clock

OBJECTIVES = """
[tool.tidemill.slo.steps]
stage = "features"
success = true
target = 0.9

[tool.tidemill.slo.fresh]
stage = "features"
freshness = "26h"
target = 0.99
"""


def declare(folder: Path, text: str) -> None:
    with (folder / "pyproject.toml").open("a") as file:
        file.write(text)


def test_none_is_declared(fresh: Path) -> None:
    assert tidemill("slo").out.startswith("no objective is declared; add one to pyproject.toml")


def test_before_anything_ran(fresh: Path) -> None:
    declare(fresh, OBJECTIVES)
    lines = tidemill("slo").out.splitlines()
    assert lines[1].split() == ["steps", "features", "success", "0.9", "-", "-", "-"]


def test_objectives_of_a_stage(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(built, OBJECTIVES)
    assert tidemill("slo", "--json").document["problems"] == []
    # An hour after the first build that is evidence.
    set_clock(built / "clock", time.time() + 3700)
    monkeypatch.setenv(VARIABLE, str(built / "clock"))
    found = tidemill("slo", "--json")
    steps, fresh = found.document["objectives"]
    assert (steps["good"], steps["bad"], steps["achieved"]) == (28, 0, 1)
    assert fresh["objective"]["limit"] == 26 * 3600
    # The days of the template are past, so the data are too old.
    (problem,) = found.document["problems"]
    assert problem["key"] == "objective-breach/prod/fresh"
    assert found.err == tidemill("slo").out
    assert "features  freshness within 26.0 h" in found.err
    assert f"{problem['severity']}: {problem['title']}" in found.err


def test_a_fault_of_the_settings(built: Path) -> None:
    declare(built, "[tool.tidemill.slo.x]\nstage = 'features'\ntarget = 2\n")
    ended = tidemill("slo")
    assert ended.code == 2
    assert "[tool.tidemill.slo.x] needs one of freshness or success" in ended.err
