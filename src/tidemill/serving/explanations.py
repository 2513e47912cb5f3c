"""The contributions of inputs to a prediction, as a request gets them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidemill.workflow.model import ClassLabel

# What all rows have in common: the mean raw score of the training rows.
BASELINE = "baseline"


def explanations(
    contributions: Any, inputs: Sequence[str], classes: Sequence[ClassLabel]
) -> list[dict[str, Any]]:
    """Name contributions (rows x (inputs + 1), or rows x classes x (inputs + 1)) by input, and by class.

    Those of a row add up to its raw score: the prediction of a regression, the log-odds of a class.
    """
    names = [*inputs, BASELINE]
    if contributions.ndim == 2:
        return [dict(zip(names, values, strict=True)) for values in contributions.tolist()]
    return [
        {
            str(label): dict(zip(names, values, strict=True))
            for label, values in zip(classes, row, strict=True)
        }
        for row in contributions.tolist()
    ]
