"""Ports: model formats and sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.workflow.model import ClassLabel, Feed


class ModelFormat(Protocol):
    """Serialises models of one library, and loads them for prediction.

    `modules` are those that it imports to store and to load a model. `is_rowwise`: a row is predicted the
    same, bit for bit, whichever other rows are predicted with it. A prediction function takes rows, as
    `feed` says, and returns one number per row, or a probability per row and class.
    """

    name: str
    modules: tuple[str, ...]
    is_rowwise: bool

    def accepts(self, model: Any) -> bool:
        """Whether this format can store `model`; this imports no library."""

    def feed(self, model: Any) -> Feed:
        """Whether the model takes a two-dimensional float array (rows x inputs) or a Polars frame."""

    def classes(self, model: Any) -> Sequence[ClassLabel]:
        """The labels of a classifier in the order of its probabilities; empty if it predicts numbers."""

    def function(self, model: Any) -> Callable[[Any], Any]:
        """The prediction function of a model in memory, with which the stored one is compared."""

    def dump(self, model: Any) -> bytes:
        """Serialise the model, without pickle; UsageError for a part that can't be stored."""

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """Load the prediction function; only for bytes that were verified, in a process that may die."""


class SinkWriter(Protocol):
    """Delivers partitions to one kind of target; a module with these functions is one."""

    def deliver(self, effect: Effect, root: Path, artifacts: Artifacts, /) -> Mapping[str, str]:
        """Carry out an effect in the project's folder, and return details for the ledger."""

    def find_obstacle(self, target: str, root: Path, /) -> str:
        """Return why nothing can be delivered to a target; empty if nothing is known against it."""
