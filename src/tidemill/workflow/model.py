"""A trained model: what a training function returns, and the artifact that becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tidemill.contracts.spec import Reads

Params: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model in memory, the columns that it reads in their order, and the label that it predicts."""

    model: Any
    inputs: Reads
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A model as bytes in the store, with everything that its users must know about it.

    `trained_on` maps each input stage to its partitions, `baseline` is the constant that a trivial
    model predicts, `anchor` the newest partition when it was trained, `rows` what the window held.
    `reads` is the contract of the columns that it reads, as text; empty in artifacts that are older.
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
    """A trained model with the columns that it reads (`Contract.reads(...)`) and its label's name."""
    return Fitted(model=model, inputs=inputs, output=output)
