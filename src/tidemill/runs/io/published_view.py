"""The partitions that are published, as a run knows them while it publishes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, readable_keys
from tidemill.ledger.binding import Binding
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.runs.io.job import Job
from tidemill.workflow.model import Artifact
from tidemill.workflow.recorded_gates import ContractOk
from tidemill.workflow.stage import Kind, Stage


def _judges_training_data(stage: Stage) -> bool:
    """Whether a gate of a model looks at the partitions that it was trained on."""
    gates = stage.approval.gates if stage.approval is not None else ()
    return any(isinstance(gate, ContractOk) for gate in gates)


@dataclass(slots=True, kw_only=True)
class PublishedView:
    """The partitions that are published as far as this run knows, and the steps that failed.

    `heads` are the heads that the run found. They can't be read once the run has published, so that
    all it may need of them is noted in `noted` at its start: None for what isn't bound.
    """

    heads: Mapping[str, Mapping[str, Binding]]
    live: dict[str, Artifact]
    noted: dict[str, dict[str, Binding | None]] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    _found: dict[tuple[str, str], Binding | None] = field(default_factory=dict)
    _sorted: dict[str, list[str]] = field(default_factory=dict)
    _whole: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, job: Job) -> PublishedView:
        """The view at a run's start."""
        view = cls(
            heads={name: head.partitions for name, head in job.state.heads.items()},
            live={name: delivery.artifact for name, delivery in job.state.live.items()},
        )
        steps = job.plan.by_stage()
        for stage in job.flow.stages:
            small = stage.kind in (Kind.MODEL, Kind.EVALUATE)
            further = (
                stage.name in steps and stage.output is not None and stage.output.has_table_rules
            )
            if small or job.recipe_changed(stage.name) or further:
                view.note_all(stage.name)
            if stage.output is not None and stage.output.drift_alarms:
                view.note_all(stage.name)
            for name in stage.refers.values() if further else ():
                view.note_all(name)
            if _judges_training_data(stage):
                for item in stage.frames:
                    view.note_all(item.name)
        for step in job.plan.steps:
            view.note(step.stage, (step.partition,))
            for name, keys in step.reads.items():
                view.note(name, keys)
        return view

    def note(self, stage: str, partitions: Iterable[str]) -> None:
        """Note the bindings of some partitions, before anything is published."""
        head, noted = self.heads.get(stage, {}), self.noted.setdefault(stage, {})
        for partition in partitions:
            if partition not in noted:
                noted[partition] = head.get(partition)

    def note_all(self, stage: str) -> None:
        """Note all bindings of a stage, before anything is published."""
        self._whole.add(stage)
        self.noted.setdefault(stage, {}).update(self.heads.get(stage, {}).items())

    def get(self, stage: str, partition: str) -> Binding | None:
        """Return the binding of a partition, or None."""
        noted = self.noted.get(stage, {})
        if partition in noted:
            return noted[partition]
        return self.heads.get(stage, {}).get(partition)

    def at_start(self, stage: str, partition: str) -> Binding | None:
        """Return the binding that a partition had when the run began, if it was noted then."""
        place = stage, partition
        return self._found[place] if place in self._found else self.get(stage, partition)

    def keys(self, stage: str) -> list[str]:
        """Return the partitions of a stage that was noted as a whole."""
        held = self.noted.get(stage, {})
        return [partition for partition, binding in held.items() if binding is not None]

    def all_bindings(self, stage: str) -> list[Binding]:
        """Return all bindings of a stage that was noted as a whole."""
        return [binding for binding in self.noted.get(stage, {}).values() if binding is not None]

    def bindings(self, stage: str) -> Iterator[Binding]:
        """Return all bindings of a stage; one that the run changes was noted as a whole."""
        if stage in self._whole:
            return iter(self.all_bindings(stage))
        return iter(self.heads.get(stage, {}).values())

    def partitions(self, stage: str) -> dict[str, Binding]:
        """Return the bindings of a stage by partition; one that the run changes was noted as a whole."""
        if stage not in self._whole:
            return dict(self.heads.get(stage, {}))
        return {key: held for key, held in self.noted[stage].items() if held is not None}

    def add(self, stage: str, partition: str, binding: Binding) -> None:
        """Note a publication."""
        held = self.noted.setdefault(stage, {})
        self._found.setdefault((stage, partition), held.get(partition))
        keys = self._sorted.get(stage)
        if keys is not None and held.get(partition) is None and partition != UNPLACED:
            insort(keys, partition)
        held[partition] = binding

    def remove(self, stage: str, partition: str) -> None:
        """Note that a partition is no longer bound."""
        keys = self._sorted.get(stage, [])
        at = bisect_left(keys, partition)
        if keys[at : at + 1] == [partition]:
            del keys[at]
        held = self.noted.setdefault(stage, {})
        self._found.setdefault((stage, partition), held.get(partition))
        held[partition] = None

    def bindings_before(self, stage: str, partition: str, count: int) -> list[Binding]:
        """Return the bindings of the last `count` partitions before one, in order."""
        keys = self._keys(stage)
        return self._at(stage, keys[: bisect_left(keys, partition)][-count:])

    def first_binding(self, stage: str) -> list[Binding]:
        """Return the binding of the first partition, if there is one."""
        return self._at(stage, self._keys(stage)[:1])

    def input_size(self, step: Step) -> tuple[int, int]:
        """Return the rows and bytes that a step reads."""
        products = [
            binding.product
            for name, keys in step.reads.items()
            if name not in self.live or step.action is not Action.DELIVER
            for key in keys
            if (binding := self.get(name, key)) is not None
        ]
        if not products:
            return step.rows, step.bytes
        return sum(p.rows for p in products), sum(p.bytes for p in products)

    def _keys(self, stage: str) -> list[str]:
        """The bound keys of a stage that was noted as a whole, in order."""
        held = self.noted.get(stage, {})
        keys = self._sorted.get(stage)
        if keys is None:
            keys = self._sorted[stage] = readable_keys(key for key in held if held[key] is not None)
        return keys

    def _at(self, stage: str, keys: Iterable[str]) -> list[Binding]:
        held = self.noted.get(stage, {})
        return [binding for key in keys if (binding := held[key]) is not None]
