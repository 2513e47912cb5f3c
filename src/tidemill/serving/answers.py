"""Predictions in one form: a column per output, in the order of the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct, field

from tidemill.workflow.model import ClassLabel

PREDICTION, PROBABILITY = "prediction", "probability_"
_DATATYPES: Mapping[type, str] = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}


class ServedVersion(Struct, frozen=True, kw_only=True):
    """The origin of an answer: the model's version, its contract, and its newest data."""

    model: str
    version: str
    contract: str
    watermark: str = ""

    def parameters(self) -> dict[str, str]:
        """Return the contract and the data watermark as parameters of a reply."""
        found = {"contract": self.contract, "watermark": self.watermark}
        return {name: value for name, value in found.items() if value}


class OutputTensor(Struct, frozen=True):
    """An output of a model: its name and its data type in the Open Inference Protocol."""

    name: str
    datatype: str


class ModelAnswer(Struct, frozen=True, kw_only=True):
    """The predictions for the rows of a request: a column of values per output.

    `parameters` are more facts about the answer, such as the age of data that was looked up. `explanations`
    say for each row what each input contributes to its prediction, if the request asks for it.
    """

    count: int
    columns: tuple[Sequence[Any], ...]
    parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    explanations: Sequence[Mapping[str, Any]] | None = None


class AnswerForm:
    """The outputs of a model, and how its predictions become them.

    Without classes, or with two, that is `prediction` as a number; with more, it is the most probable class
    as its label, and `probability_CLASS` for each.
    """

    def __init__(self, classes: Sequence[ClassLabel] = ()) -> None:
        self._classes = tuple(classes) if len(classes) > 2 else ()
        datatype = _DATATYPES[type(self._classes[0])] if self._classes else "FP64"
        self.outputs = (
            OutputTensor(PREDICTION, datatype),
            *(OutputTensor(f"{PROBABILITY}{label}", "FP64") for label in self._classes),
        )

    def one(self, found: Any) -> ModelAnswer:
        """Return the answer for one row: a number, or the probabilities of the classes."""
        if not self._classes:
            return ModelAnswer(count=1, columns=((found,),))
        # A probability that isn't known leaves the class unknown.
        known = all(value == value for value in found)
        label = self._classes[max(range(len(found)), key=found.__getitem__)] if known else None
        return ModelAnswer(count=1, columns=((label,), *((value,) for value in found)))

    def many(self, found: Any) -> ModelAnswer:
        """Return the answer for rows: an array of numbers, or of rows x classes."""
        if not self._classes:
            return ModelAnswer(count=len(found), columns=(found,))
        known = ~np.isnan(found).any(axis=1)
        best = np.where(known, np.nan_to_num(found).argmax(axis=1), -1).tolist()
        labels = [self._classes[at] if at >= 0 else None for at in best]
        columns = (labels, *(found[:, at] for at in range(found.shape[1])))
        return ModelAnswer(count=len(found), columns=columns)


def as_list(values: Sequence[Any]) -> list[Any]:
    """Return the values of a column as a list of Python values."""
    listed: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return listed
