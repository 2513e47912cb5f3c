"""Ports: model formats and sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts


class ModelFormat(Protocol):
    """Serialises models of one library, and loads them for prediction.

    `is_rowwise`: a row is predicted the same, bit for bit, whichever other rows are predicted with it.
    """

    name: str
    is_rowwise: bool

    def accepts(self, model: Any) -> bool:
        """Whether this format can store `model`."""

    def dump(self, model: Any) -> bytes:
        """Serialise the model, without pickle."""

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """Return a function from a two-dimensional float array (rows x inputs) to predictions."""


class SinkWriter(Protocol):
    """Delivers partitions to one kind of target; a module with these functions is one."""

    def deliver(self, effect: Effect, root: Path, artifacts: Artifacts, /) -> Mapping[str, str]:
        """Carry out an effect in the project's folder, and return details for the ledger."""

    def find_obstacle(self, target: str, root: Path, /) -> str:
        """Return why nothing can be delivered to a target; empty if nothing is known against it."""
