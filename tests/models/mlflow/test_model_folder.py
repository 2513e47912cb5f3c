"""Only a model that predicts the same there gets a description by which MLflow loads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.models.mlflow.model_folder import describe_flavor, model_file
from tidemill.testing.records import model_artifact
from tidemill.workflow.model import Artifact, ColumnEncoding


def test_a_booster_of_plain_numbers() -> None:
    artifact = replace(model_artifact(), packages={"lightgbm": "4.6.0"})
    assert model_file(artifact) == "model.txt"
    text = describe_flavor(artifact)
    assert "data: model.txt" in text
    assert "lgb_version: 4.6.0" in text
    assert "loader_module: mlflow.lightgbm" in text


@pytest.mark.parametrize(
    "artifact",
    [
        replace(model_artifact(), format="sklearn"),
        replace(model_artifact(), encodings=(ColumnEncoding(name="x", kind="category"),)),
    ],
)
def test_others_have_none(artifact: Artifact) -> None:
    assert describe_flavor(artifact) == ""
