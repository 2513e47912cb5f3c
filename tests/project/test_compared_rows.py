"""Two versions of a model are compared by the predictions for the same rows."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import edit, tidemill
from tests.support.repository import git


def test_predictions_of_both_versions(built: Path) -> None:
    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    edit(built / "bakery.py", '"rounds": 60', '"rounds": 20')
    ended = tidemill("plan", "--against", "main", "--compare-rows", "1", "--json")
    assert ended.code == 0, ended.err
    [model] = ended.document["rows"]["models"]
    assert (model["model"], model["rows"]) == ("demand", 256)
    assert model["trained_before"] == model["trained_after"] > 0
    assert 0 < model["differing"] <= 256
    assert 0 < model["mean"] <= model["largest"]
    assert "demand  " in ended.err.partition("predictions on a sample:")[2]
    edits = {each["stage"]: each["reasons"] for each in ended.document["edits"]}
    assert edits["demand"] == ["its parameters changed"]
