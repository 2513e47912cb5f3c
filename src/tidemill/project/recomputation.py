"""Compute partitions of some stages on what is published of the others, and publish nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.layered_artifacts import LayeredArtifacts
from tidemill.core.partition import WHOLE, readable_keys
from tidemill.ledger.binding import Binding, Head
from tidemill.project.workspace import Workspace
from tidemill.steps.io.debug import debug_step, debug_training, visible_keys
from tidemill.workflow.stage import DATA, Kind, Stage

if TYPE_CHECKING:
    from tidemill.steps.io.debug import DebugOutput, TrainingTrial


class Recomputation:
    """Computes the stages `affected` anew, each partition once and only if another step reads it.

    Objects are written into `folder`; those that are published are only read.
    """

    def __init__(self, space: Workspace, affected: Collection[str], folder: Path) -> None:
        self._space = space
        # A new environment starts as a branch of production, and all of it is read at once, so that no run
        # changes it meanwhile.
        self._state = self._before = space.preview_state(whole=True)
        self._affected = frozenset(affected)
        self._done: dict[tuple[str, str], DebugOutput] = {}
        self._tools = replace(
            space.tools, artifacts=LayeredArtifacts(FileArtifacts(folder), space.tools.artifacts)
        )

    def newest_keys(self, stage: str, most: int) -> list[str]:
        """The newest partitions of a stage, or those that it would have if it isn't published yet."""
        return self._keys(self._space.flow[stage])[-most:] if most else []

    def published_rows(self, stage: str, partition: str) -> int:
        """The rows that a partition has where it is published; 0 if it isn't."""
        bound = self._published(stage).get(partition)
        return bound.product.rows if bound is not None else 0

    def rows(self, stage: str, partition: str) -> DebugOutput:
        """The rows of a partition of an ingest or a transform; raises what the stage raises."""
        if (stage, partition) not in self._done:
            subject = self._space.flow[stage]
            self._prepare(subject, partition)
            self._done[stage, partition] = self._compute(subject, partition)
        return self._done[stage, partition]

    def training(self, stage: str) -> TrainingTrial:
        """Train a model on its window; raises what the training raises."""
        subject = self._space.flow[stage]
        self._prepare(subject, WHOLE)
        return debug_training(self._tools, self._space.flow, subject, self._state)

    def _compute(self, stage: Stage, partition: str) -> DebugOutput:
        reads = self._space.recipes[stage.name].reads
        found = debug_step(self._tools, self._space.flow, stage, self._state, partition, reads)
        self._tools.artifacts.put_all(found.objects)
        self._bind(stage, partition, found)
        return found

    def _prepare(self, stage: Stage, partition: str) -> None:
        """Compute the affected partitions that a step reads."""
        if stage.kind is Kind.INGEST:
            return
        keys = {item.name: self._keys(self._space.flow[item.name]) for item in stage.frames}
        seen = visible_keys(self._space.flow, stage, partition, keys)
        for name, chosen in seen.items():
            if name in self._affected and self._space.flow[name].kind in DATA:
                for key in chosen:
                    self.rows(name, key)

    def _keys(self, stage: Stage) -> list[str]:
        if published := readable_keys(self._published(stage.name)):
            return published
        if stage.partitioning.is_whole:
            return [WHOLE]
        alike = (
            self._space.flow[item.name]
            for item in stage.frames
            if item.contract is not None and item.contract.partitioning == stage.partitioning
        )
        first = next(alike, None)
        return self._keys(first) if first is not None else []

    def _bind(self, stage: Stage, partition: str, found: DebugOutput) -> None:
        binding = Binding(
            key="", recipe="", contract="", check="", product=found.product, run="", at=0.0
        )
        head = self._state.heads.get(stage.name, Head())
        bound = {**head.partitions, partition: binding}
        heads = {**self._state.heads, stage.name: replace(head, partitions=bound)}
        self._state = replace(self._state, heads=heads)

    def _published(self, stage: str) -> Mapping[str, Binding]:
        head = self._before.heads.get(stage)
        return head.partitions if head is not None else {}


def refusal_of(space: Workspace, stage: str) -> str:
    """Why a stage shouldn't be computed only to look at it; "" if it may."""
    subject = space.flow[stage]
    if space.recipes[stage].memos:
        return "it calls memos, whose answers may cost money"
    if subject.impure is not None:
        return "it is declared impure"
    if subject.training is not None and subject.training.search is not None:
        return "it searches its parameters, which takes many trainings"
    return ""
