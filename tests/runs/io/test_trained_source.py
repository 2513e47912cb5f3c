"""The source text that is kept with a model is that of the code that trained it."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.planning import flow_of, ingest, model, reads, transform
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.ledger.binding import Product
from tidemill.reuse.recipe import Recipe
from tidemill.runs.io.trained_source import ModelSources
from tidemill.steps.step_messages import StepOutput
from tidemill.workflow.model import Artifact

TRAINED = Artifact(
    id="3f2a91c07b1e", stage="model", object="3f2a91c07b1e" * 4, format="lightgbm", inputs=("x",), output="y",
    baseline=0.0, anchor="", rows=4, trained_on={}, contracts={}, recipe="recipe", params="{}", seed=1,
)  # fmt: skip
TEXT = """\
LIMIT = 5


class Box:
    size = 3


def stage(rows):
    return rows.head(LIMIT * Box.size)
"""


def test_a_file_that_is_edited_while_a_model_trains_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "kept_while_it_trains.py"
    path.write_text(TEXT, encoding="utf-8")
    importlib.invalidate_caches()
    code = code_of(importlib.import_module(path.stem).stage)
    raw = ingest("raw")
    features = transform("features", "day", reads(raw))
    flow = flow_of(raw, features, model("model", reads(features)), model("other", reads(raw)))
    recipes = {stage.name: Recipe(digest="1") for stage in flow.stages}
    recipes["features"] = replace(recipes["features"], code=code)
    redact = lambda text: text.replace("LIMIT", "***")  # noqa: E731
    sources = ModelSources(flow, recipes, ["features", "model", "model"], redact)
    # Neither of these shows in a function that was imported.
    path.write_text(TEXT.replace("5", "600").replace("3", "30"), encoding="utf-8")
    output = StepOutput(product=Product(content="1", artifact=TRAINED))
    made = sources.added_to(output, "model")
    [(payload, suffix)] = made.objects
    assert suffix == ".source.json"
    texts = json.loads(bytes(payload))
    assert list(texts) == ["features"]
    assert (
        texts["features"]
        == f"# {path.name}\n\n" + TEXT.replace("LIMIT", "***").replace("\n\n\n", "\n\n").rstrip()
    )
