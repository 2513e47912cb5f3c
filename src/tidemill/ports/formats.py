"""Ports: model formats and sinks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.workflow.model import Artifact, ClassLabel, Feed


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

    def dump(self, model: Any) -> Payload:
        """Serialise the model, without pickle; UsageError for a part that can't be stored.

        A buffer, such as a mapped file or a view of the model's own array, isn't copied.
        """

    def load(self, payload: bytes) -> Callable[[Any], Any]:
        """Load the prediction function; only for bytes that were verified, in a process that may die."""

    def restore(self, payload: bytes) -> Any:
        """Load the model itself, for a training that continues it; only for bytes that were verified."""


# How an effect went: details for the ledger, or why it failed.
EffectResult: TypeAlias = "Mapping[str, str] | TidemillError"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCheck:
    """Why a file can't be used as a model, empty if it can; and the largest difference of its predictions."""

    fault: str = ""
    difference: float = 0.0


class ModelProbe(Protocol):
    """Loads a stored model in a process of its own first, because a damaged file can crash a process."""

    def confirm(
        self, artifact: Artifact, form: ModelFormat, payload: Payload, golden: bytes, /
    ) -> None:
        """Do nothing for a model that is known to load; else load it, and predict the golden rows.

        `golden` is the Parquet file of these rows; empty for artifacts without. StorageError if the model
        can't be loaded, takes too much time or memory, or predicts something else than in training.
        """

    def measure(
        self, artifact: Artifact, form: ModelFormat, payload: Payload, golden: bytes, /
    ) -> float:
        """Load a model, and return the largest difference of its golden predictions; raises as `confirm`."""

    def remember(self, artifact: Artifact, form: ModelFormat, /) -> None:
        """Record that a model loads, and predicts its golden rows, with the installed library."""

    def close(self) -> None:
        """End the processes that load models."""


class SinkWriter(Protocol):
    """Delivers partitions to one kind of sink.

    `batch` is after how many effects the ledger records that they are done. With 0 all effects of a run on
    a table are one transaction: readers see all of them or none.
    """

    batch: int

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        """Carry out effects on one table, in order, and yield each one that is durable, or why it isn't.

        It may be called again with effects that are done, and must leave the same behind.
        """

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        """Return why nothing can be delivered to the table of an effect; empty if nothing is known."""

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        """Return how a sink differs from the last effect on a partition; empty if it doesn't.

        None if the sink can't be read.
        """
