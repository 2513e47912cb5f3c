"""Incidents of what only metrics show."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import tidemill

STALE = """
[tool.tidemill.slo.fresh]
stage = "features"
freshness = "26h"
target = 0.99
"""


def test_stale_data_and_an_objective_at_risk_are_incidents(built: Path) -> None:
    assert tidemill("alerts", "check").code == 0
    settings = built / "pyproject.toml"
    before = settings.read_text()
    settings.write_text(before + STALE)
    found = tidemill("alerts", "check", "--json")
    assert found.code == 1
    assert found.document["open"]
    again = tidemill("alerts", "check", "--json")
    assert (again.document["events"], again.document["open"]) == ([], found.document["open"])
    shown = tidemill("incidents").out
    assert "features" in shown
