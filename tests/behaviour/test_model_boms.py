"""Bills of materials of models that real runs trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.governance.test_ml_bom import fault_of
from tests.support.attested import QuicklyAttested
from tests.support.commands import tidemill
from tidemill.core.errors import StorageError


def test_of_a_constant_that_only_one_table_knows(tmp_path: Path) -> None:
    """No window, no metrics by day, a format of the project, partitions of any text."""
    project = QuicklyAttested(tmp_path / "tides", ["a/b", "ü", "\n"])
    project.run()
    with project.open() as opened:
        made = opened.models["model"].bom("newest")
        assert fault_of(made.document) == ""
        assert json.loads(made.text) == made.document
        (tmp_path / "folder").mkdir()
        with pytest.raises(StorageError, match="can't be written"):
            made.save(tmp_path / "folder")


def test_of_a_booster_by_the_command_line(built: Path, tmp_path: Path) -> None:
    document = json.loads(tidemill("models", "bom", "demand").out)
    assert fault_of(document) == ""
    metrics = document["metadata"]["component"]["modelCard"]["quantitativeAnalysis"][
        "performanceMetrics"
    ]
    assert {each.get("slice") for each in metrics} == {
        None, "shop=harbour", "shop=market", "shop=station"
    }  # fmt: skip
    ended = tidemill("models", "bom", "demand", "live", "-o", str(tmp_path / "bom.json"), "--json")
    assert ended.err == f"wrote {tmp_path / 'bom.json'}\n"
    assert json.loads((tmp_path / "bom.json").read_text()) == ended.document["bom"]
    assert fault_of(ended.document["bom"]) == ""
    assert tidemill("models", "bom", "demand", "nothing").code == 2
