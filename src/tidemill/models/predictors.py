"""Predict with a model that is loaded, or with a trivial baseline: rows in, rows with predictions out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.json_form import from_json
from tidemill.core.errors import UsageError
from tidemill.models.encoding import encode_columns, require_encodable
from tidemill.models.given_frames import given_frame, require_numbers
from tidemill.workflow.model import Artifact, ClassLabel, ColumnEncoding, Feed

PREDICTION = "prediction"
# Followed by a class: the columns with the probabilities of more than two classes.
PROBABILITY = "probability_"


class ModelPredictor:
    """A model that is loaded: `predict` adds its predictions to a frame.

    `function` is what its format loaded, `artifact` says how it is fed and what its output means.
    """

    def __init__(self, function: Callable[[Any], Any], artifact: Artifact) -> None:
        self._function = function
        self._inputs = artifact.inputs
        self._encodings = artifact.encodings
        self._feed = artifact.feed
        self._classes = artifact.class_labels
        self._schema = predicted_schema(artifact)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that `predict` adds."""
        return tuple(self._schema)

    @property
    def function(self) -> Callable[[Any], Any]:
        """The model alone: it takes what `encoded` returns."""
        return self._function

    def encoded(self, rows: pl.DataFrame) -> Any:
        """The rows as the model gets them: a float array, or a frame."""
        return model_input(rows, self._inputs, encodings=self._encodings, feed=self._feed)

    def predict(self, features: pl.LazyFrame) -> pl.LazyFrame:
        """Add `prediction`: a number, the probability of the greater of two classes, or a class.

        For more than two classes, `probability_CLASS` is added for each.
        """
        features = given_frame(features, "predict")
        known = features.collect_schema()
        if self._encodings:
            require_encodable(known, self._encodings)
        elif self._feed == "matrix":
            require_numbers(known, self._inputs)
        return features.map_batches(self._scored, schema={**known, **self._schema})

    def _scored(self, frame: pl.DataFrame) -> pl.DataFrame:
        if frame.is_empty():
            return frame.with_columns(
                pl.lit(None, dtype).alias(name) for name, dtype in self._schema.items()
            )
        values = self._function(self.encoded(frame))
        found = as_predictions(values, frame.height, len(self._classes))
        return frame.with_columns(self._predicted(found))

    def _predicted(self, found: Any) -> list[pl.Series]:
        if found.ndim == 1:
            return [pl.Series(PREDICTION, found, dtype=pl.Float64)]
        names = list(self._schema)
        known = ~np.isnan(found).any(axis=1)
        best = np.where(known, np.nan_to_num(found).argmax(axis=1), -1)
        labels = [self._classes[at] if at >= 0 else None for at in best]
        classes = pl.Series(PREDICTION, labels).cast(self._schema[PREDICTION])
        return [
            classes,
            *(pl.Series(name, found[:, at]) for at, name in enumerate(names[1:])),
        ]


class TrivialPredictor:
    """The baseline that a model must beat: the same prediction for every row.

    That is the median of the training labels, the share of the greater of two classes, or the most frequent
    class with the shares of all.
    """

    def __init__(self, artifact: Artifact) -> None:
        schema = predicted_schema(artifact)
        if len(schema) == 1:
            self._constants = [pl.lit(artifact.baseline, pl.Float64).alias(PREDICTION)]
            return
        shares = artifact.shares or (0.0,) * (len(schema) - 1)
        frequent = artifact.class_labels[shares.index(max(shares))]
        self._constants = [
            pl.lit(frequent).cast(schema[PREDICTION]).alias(PREDICTION),
            *(
                pl.lit(share, pl.Float64).alias(name)
                for name, share in zip(list(schema)[1:], shares, strict=True)
            ),
        ]

    def predict(self, features: pl.LazyFrame) -> pl.LazyFrame:
        """Add the same columns as the model's predictor."""
        return given_frame(features, "predict").with_columns(self._constants)


def predicted_schema(artifact: Artifact) -> dict[str, pl.DataType]:
    """The columns that predicting with a model adds, with their types."""
    classes = artifact.class_labels
    if len(classes) <= 2:
        return {PREDICTION: pl.Float64()}
    label = from_json(json.loads(artifact.label)).columns[0].dtype
    return {PREDICTION: polars_type(label), **class_columns(classes)}


def class_columns(classes: Sequence[ClassLabel]) -> dict[str, pl.DataType]:
    """The columns with the probabilities of classes."""
    return {f"{PROBABILITY}{label}": pl.Float64() for label in classes}


def model_input(
    table: pl.DataFrame,
    inputs: Sequence[str],
    *,
    encodings: Sequence[ColumnEncoding] = (),
    feed: Feed = "matrix",
) -> Any:
    """The rows as a model gets them: a float array with null as NaN, or a frame of its columns."""
    if feed == "frame" and not encodings:
        return table.select(inputs)
    if not encodings:
        numbers = table.select(pl.col(list(inputs)).cast(pl.Float64)).to_numpy()
        return np.ascontiguousarray(numbers)
    encoded = encode_columns(table, encodings)
    return pl.DataFrame(encoded, schema=list(inputs)) if feed == "frame" else encoded


def as_predictions(values: Any, rows: int, classes: int) -> Any:
    """Bring the output of a model into one form: a number per row, or a probability per row and class.

    Of two classes only the probability of the second is kept. UsageError for an output of another shape.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if classes == 2 and found.ndim == 2 and found.shape[1] == 2:
        found = found[:, 1]
    wanted = (rows,) if classes <= 2 else (rows, classes)
    if found.shape != wanted:
        shapes = f"its output for {rows:,} rows has shape {found.shape}, not {wanted}"
        if found.ndim == 2 and len(found) == rows and found.shape[1] != classes:
            raise UsageError(
                f"{shapes}: it predicts {found.shape[1]} classes; name them in the order of its "
                "probabilities: tm.fitted(..., classes=[...])"
            )
        raise UsageError(
            f"{shapes}: a model predicts one number per row, or one probability per class"
        )
    return found
