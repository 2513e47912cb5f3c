"""The version of a model that a training continues, as the training function gets it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from typing import Any

import polars as pl

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.models.io.batches import known_partitions, partition_column, with_partitions
from tidemill.workflow.model import Artifact, ColumnEncoding


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedParent:
    """A version with its model in memory; `new` are the partitions that it wasn't trained on as they are."""

    artifact: Artifact
    model: Any = field(repr=False)
    new: Collection[str]

    @property
    def version(self) -> str:
        """The id of the version."""
        return self.artifact.id

    @property
    def generation(self) -> int:
        """How many versions were continued up to this one since a training from scratch."""
        return self.artifact.generation

    @property
    def trained_on(self) -> Mapping[str, tuple[str, ...]]:
        """The partitions of each input that it was trained on."""
        return self.artifact.trained_on

    @property
    def encodings(self) -> tuple[ColumnEncoding, ...]:
        """How its inputs become numbers."""
        return self.artifact.encodings

    def unseen(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Return the partitions of an input that are new or have changed since; see `tm.Parent`."""
        known = known_partitions(frame)
        if known is None:
            raise UsageError(
                "parent.unseen(frame) takes an input as the training function gets it: filter and select "
                "the rows that it returns"
            )
        if set(known) <= {WHOLE}:
            return frame
        found = {key: load for key, load in known.items() if key in self.new}
        parts = [load() for load in found.values()]
        rows = pl.concat(parts) if parts else frame.clear()
        return with_partitions(rows, found, partition_column(frame))
