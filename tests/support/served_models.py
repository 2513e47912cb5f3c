"""Models to serve: artifacts for models in memory, as training would have stored them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pytest

from tidemill.models.golden_rows import with_predictions
from tidemill.models.predictors import as_predictions, model_input
from tidemill.ports.formats import ModelFormat
from tidemill.serving.io.lightgbm_library import open_library
from tidemill.workflow.model import Artifact, ClassLabel, ColumnEncoding


def stored_artifact(
    form: ModelFormat,
    model: Any,
    inputs: Sequence[str],
    *,
    classes: Sequence[ClassLabel] = (),
    encodings: Sequence[ColumnEncoding] = (),
) -> Artifact:
    """The record of a model; its classes are those that its format knows, unless they are given."""
    labels = list(classes or form.classes(model))
    return Artifact(
        id="0123456789abcdef",
        stage="model",
        object="0123456789abcdef",
        format=form.name,
        inputs=tuple(inputs),
        output="y",
        baseline=0.0,
        anchor="2024-01-01",
        rows=100,
        trained_on={},
        contracts={},
        recipe="recipe",
        params="{}",
        seed=None,
        feed=form.feed(model),
        encodings=tuple(encodings),
        classes=json.dumps(labels) if labels else "",
    )


def golden_file(form: ModelFormat, model: Any, artifact: Artifact, rows: pl.DataFrame) -> bytes:
    """The golden rows of a model with its predictions, as training stores them."""
    given = model_input(rows, artifact.inputs, encodings=artifact.encodings, feed=artifact.feed)
    found = as_predictions(form.function(model)(given), rows.height, len(artifact.class_labels))
    file = io.BytesIO()
    with_predictions(rows, found).write_parquet(file)
    return file.getvalue()


@pytest.fixture(scope="module")
def any_threads() -> Iterator[None]:
    """Let LightGBM use several threads after a module that served models, which limits it to one."""
    yield
    open_library().short.LGBM_SetMaxThreads(-1)
