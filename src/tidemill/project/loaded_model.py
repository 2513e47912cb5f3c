"""A stored model in this process, ready to predict."""

from __future__ import annotations

from importlib import import_module
from typing import overload

import polars as pl

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.models.given_frames import given_frame
from tidemill.models.predictors import ModelPredictor
from tidemill.project.workspace import Workspace
from tidemill.steps.io.model_loading import load_predictor
from tidemill.workflow.model import Artifact


class LoadedModel:
    """A stored model: `artifact` says what it is, and `predict` adds its predictions to a frame."""

    def __init__(self, artifact: Artifact, predictor: ModelPredictor) -> None:
        self.artifact = artifact
        self._predictor = predictor

    def __repr__(self) -> str:
        known = self.artifact
        return (
            f"<LoadedModel {known.stage} {known.id}: {', '.join(known.inputs)} -> {known.output}>"
        )

    def _repr_html_(self) -> str:
        """Render what it reads, predicts and was trained on, for notebooks."""
        html: str = import_module("tidemill.models.version_notebook").artifact_html(self.artifact)
        return html

    @overload
    def predict(self, features: pl.DataFrame) -> pl.DataFrame: ...
    @overload
    def predict(self, features: pl.LazyFrame) -> pl.LazyFrame: ...
    def predict(self, features: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame | pl.LazyFrame:
        """Add the column `prediction`: a number, the probability of the greater of two classes, or a class.

        For more than two classes, `probability_CLASS` is added for each. Inputs are encoded as in training.
        Raises UsageError for a frame without a column that the model reads, or with one of another kind of
        type.
        """
        if isinstance(features, pl.DataFrame):
            return self.predict(features.lazy()).collect()
        features = given_frame(features, "predict")
        names = features.collect_schema().names()
        missing = [name for name in self.artifact.inputs if name not in names]
        if missing:
            raise UsageError(
                f"model {self.artifact.stage} {self.artifact.id} reads {', '.join(missing)}, which the frame "
                f"doesn't have ({did_you_mean(missing[0], names)})"
            )
        return self._predictor.predict(features)


def load_model(space: Workspace, artifact: Artifact) -> LoadedModel:
    """Load a stored model after its bytes were verified, the first time in a process of its own."""
    tools = space.tools
    return LoadedModel(
        artifact, load_predictor(artifact, tools.artifacts, tools.formats, tools.model_probe)
    )
