"""Ports: model formats and sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tidemill.ledger.delivery import Effect

if TYPE_CHECKING:
    pass
from tidemill.ports.artifacts import Artifacts


class ModelFormat(Protocol):
    """How one kind of model becomes bytes and predicts again."""

    name: str

    def accepts(self, model: Any) -> bool:
        """Whether `model` is of this kind."""

    def dump(self, model: Any) -> bytes:
        """The model as bytes, without pickle."""

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """A function from a two-dimensional float array (rows x inputs) to predictions."""


SinkWriter: TypeAlias = Callable[[Effect, Path, "Artifacts"], Mapping[str, str]]
