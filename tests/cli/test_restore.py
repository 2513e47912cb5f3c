"""`tidemill restore`: what it says, its exit codes and its document."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import tidemill


def test_a_table_is_restored(built: Path) -> None:
    assert tidemill("restore", "forecast", "nine").code == 2
    ended = tidemill("restore", "forecast", "nine", "--json")
    assert "there is no run 'nine'" in ended.err
    run = tidemill("runs", "--json").document["runs"][0]["id"]
    ended = tidemill("restore", "forecast", run)
    assert (ended.code, ended.out) == (0, f"forecast: 0 partitions delivered as of run {run}\n")
    document = tidemill("restore", "forecast", run, "--json").document
    assert document["schema"] == "tidemill.restored/1"
    assert document["restored"] == {
        "table": "forecast",
        "run": run,
        "partitions": [],
        "removed": [],
    }
    assert "it isn't delivered anywhere" in tidemill("restore", "sales", run).err
