"""Run a model by the prediction function that its format loads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from tidemill.core.errors import UsageError
from tidemill.models.predictors import as_predictions
from tidemill.serving.call_cost import UNKNOWN_COST
from tidemill.serving.io.runner import closed_error
from tidemill.workflow.model import Artifact, Feed


class FunctionRunner:
    """A model with the prediction function of its format, which gets what it got in training."""

    __slots__ = (
        "_classes",
        "_contributions",
        "_format",
        "_frames",
        "_function",
        "_inputs",
        "cost",
        "fallback",
        "feed",
        "thread_safe",
    )

    def __init__(
        self,
        artifact: Artifact,
        function: Callable[[Any], Any],
        *,
        thread_safe: bool = False,
        fallback: str = "",
        contributions: Callable[[Any], Any] | None = None,
    ) -> None:
        self._function: Callable[[Any], Any] | None = function
        self._contributions = contributions
        self._format = artifact.format
        self._inputs = artifact.inputs
        self._classes = len(artifact.class_labels)
        self._frames = artifact.feed == "frame"
        # Encoded columns are numbers, also for a model that gets them as a frame.
        self.feed: Feed = "frame" if self._frames and not artifact.encodings else "matrix"
        self.cost = UNKNOWN_COST
        self.thread_safe = thread_safe
        self.fallback = fallback

    def predict_row(self, values: list[float]) -> float | list[float]:
        """Predict one row of a model that takes arrays."""
        if self.feed == "frame":
            raise UsageError("the model takes a frame: call predict")
        found: float | list[float] = self.predict(np.array([values], dtype=np.float64))[0].tolist()
        return found

    def predict(self, rows: Any) -> Any:
        """Predict rows of an array or of a frame, as `feed` says."""
        function = self._function
        if function is None:
            raise closed_error()
        rows = self._given(rows)
        if not len(rows):
            return np.empty((0, self._classes) if self._classes > 2 else 0)
        return as_predictions(function(rows), len(rows), self._classes)

    def contributions(self, rows: Any) -> Any:
        """How much each input adds to the raw score, if the library knows."""
        if self._function is None:
            raise closed_error()
        if self._contributions is None:
            raise UsageError(
                f"a model stored as {self._format!r} doesn't say what its inputs contribute: LightGBM's and "
                "XGBoost's trees do"
            )
        found = np.asarray(self._contributions(self._given(rows)), dtype=np.float64)
        # Of two classes, the second counts.
        return found[:, 1] if self._classes == 2 and found.ndim == 3 else found

    def close(self) -> None:
        """Forget the model; a call that is in flight keeps it until it ends."""
        self._function = self._contributions = None

    def _given(self, rows: Any) -> Any:
        """The rows as the model gets them."""
        if self.feed == "frame":
            return rows.select(self._inputs)
        if rows.ndim != 2 or rows.shape[1] != len(self._inputs):
            raise UsageError(
                f"the model reads {len(self._inputs)} inputs, but the array has shape {rows.shape}"
            )
        if self._frames:
            return pl.DataFrame(rows, schema=list(self._inputs), orient="row")
        return rows
