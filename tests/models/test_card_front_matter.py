from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.json_form import to_json
from tidemill.contracts.spec import ContractSpec
from tidemill.ledger.model_version import Evaluation, ModelVersion, VersionState
from tidemill.models.card_front_matter import (
    front_matter,
    library_of,
    task_of,
    yaml_number,
    yaml_text,
)
from tidemill.testing.records import model_artifact
from tidemill.workflow.gate import Scores

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
HOSTILE = '"\n---\nlicense: mit # {evil: [&x *x !!python/object]} | > % @ ` \t\x00\u2028\U0001f600'


def label(dtype: str) -> str:
    column = Column(name="delay", dtype=DType(dtype))
    return json.dumps(to_json(ContractSpec(name="Labels", version="1.0.0", columns=(column,))))


def version(**artifact: Any) -> ModelVersion:
    found = Evaluation(
        stage="delay_scores",
        scores=Scores(rows=1_200, metrics={"mae": 11.5, "tiny": 1e-7, "odd": math.nan}),
        run="run-1",
        at=3.0,
        rows_read="",
    )
    return ModelVersion(
        artifact=replace(model_artifact("abc"), **artifact),
        state=VersionState.LIVE,
        trained_at=1.0,
        run="run-1",
        bytes=10,
        key="key",
        evaluations=(replace(found, scores=Scores(rows=1, metrics={"mae": 99.0})), found),
    )


def parsed(text: str) -> Any:
    assert (text.count("\n---"), text[:4]) == (1, "---\n")
    return yaml.safe_load(text.removeprefix("---\n").removesuffix("\n---"))


def test_hubs_find_library_task_metrics_and_newest_results() -> None:
    assert parsed(front_matter(version(label=label("Float64")), workflow="flights")) == {
        "library_name": "lightgbm",
        "pipeline_tag": "tabular-regression",
        "tags": ["tidemill", "tabular-regression", "flights"],
        "metrics": ["mae", "tiny"],
        "model-index": [
            {
                "name": "delay_model",
                "results": [
                    {
                        "task": {"type": "tabular-regression"},
                        "dataset": {"type": "delay_scores", "name": "delay_scores (1,200 rows)"},
                        "metrics": [
                            {"type": "mae", "value": 11.5},
                            {"type": "tiny", "value": 1e-7},
                        ],
                    }
                ],
            }
        ],
    }


def test_what_is_not_recorded_is_left_out() -> None:
    found = parsed(front_matter(replace(version(), evaluations=())))
    assert found == {"library_name": "lightgbm", "tags": ["tidemill"]}
    only = Evaluation(
        stage="s", scores=Scores(rows=1, metrics={"mae": math.inf}), run="", at=0, rows_read=""
    )
    assert "model-index" not in parsed(front_matter(replace(version(), evaluations=(only,))))
    both = replace(version(), evaluations=(*version().evaluations, only))
    assert len(parsed(front_matter(both))["model-index"][0]["results"]) == 1


def test_hostile_names_stay_text() -> None:
    scores = Scores(rows=1, metrics={HOSTILE: 1.0})
    bad = Evaluation(stage=HOSTILE, scores=scores, run="", at=0, rows_read="")
    found = replace(version(stage=HOSTILE, format=HOSTILE), evaluations=(bad,))
    read = parsed(front_matter(found, workflow=HOSTILE))
    assert set(read) == {"library_name", "tags", "metrics", "model-index"}
    assert read["tags"][-1] == read["library_name"] == read["metrics"][0]
    assert read["tags"][-1].startswith('" --- license: mit # {evil:')
    assert read["tags"][-1].endswith("\U0001f600")


@given(st.text())
def test_any_text_is_one_scalar(text: str) -> None:
    written = yaml_text(text)
    assert written.isascii()
    assert "\n" not in written
    read = yaml.safe_load(written)
    assert isinstance(read, str)
    if text.isprintable() and text.isascii():
        assert read == " ".join(text.split())


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_is_read_as_that_float(value: float) -> None:
    read = yaml.safe_load(yaml_number(value))
    assert isinstance(read, float)
    assert read == value


@pytest.mark.parametrize(
    ("artifact", "task"),
    [
        ({}, ""),
        ({"label": label("Int64")}, "tabular-regression"),
        ({"label": label("Boolean")}, "tabular-classification"),
        ({"label": label("String"), "classes": '["a", "b", "c"]'}, "tabular-classification"),
    ],
)
def test_the_task_follows_from_the_label(artifact: dict[str, Any], task: str) -> None:
    assert task_of(version(**artifact).artifact) == task


def test_libraries_have_the_names_of_hubs() -> None:
    names = {form: library_of(version(format=form).artifact) for form in ("onnx", "skops")}
    assert names == {"onnx": "onnx", "skops": "sklearn"}
