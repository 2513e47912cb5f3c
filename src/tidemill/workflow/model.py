"""A trained model: in memory as a training function returns it, and stored as an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidemill.contracts.spec import Reads

Params: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model in memory, the columns that it reads (in order), and the label that it predicts."""

    model: Any
    inputs: Reads
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A stored model with its metadata.

    `trained_on` maps each input stage to its partitions. `baseline` is the constant that a trivial
    model predicts, `anchor` the newest partition at training time, `rows` the number of training rows.
    `reads` is the contract of the columns that it reads, as JSON; empty in artifacts stored before
    that was recorded.
    """

    id: str
    stage: str
    object: str
    format: str
    inputs: tuple[str, ...]
    output: str
    baseline: float
    anchor: str
    rows: int
    trained_on: dict[str, tuple[str, ...]]
    contracts: dict[str, str]
    recipe: str
    params: str
    seed: int | None
    reads: str = ""


def fitted(model: Any, *, inputs: Reads, output: str) -> Fitted:
    """Return a trained model from a training function, with its input columns and its label.

    `inputs` are the columns that the model reads, in order (`Features.reads("hour", "distance")`);
    `output` is the name of the label column that it predicts.
    """
    return Fitted(model=model, inputs=inputs, output=output)
