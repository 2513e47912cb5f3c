"""Resolve what a step reads against what is published by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tidemill.contracts.row_ruling import Ruling
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.ledger.binding import Binding
from tidemill.models.gates import BASELINE, LIVE
from tidemill.models.warm_start import parent_digest, recorded_parent, unseen_partitions
from tidemill.planning.data_stages import FILES
from tidemill.planning.plan import Step
from tidemill.quarantine.ruling_input import ruling_contents
from tidemill.reuse.input_contents import RULINGS, Contents
from tidemill.reuse.stale_columns import StaleColumns
from tidemill.reuse.step_key import StepKey, key_for
from tidemill.reuse.training_key import snapshot_of, training_key
from tidemill.runs.io.job import Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.sources.scan import cut_to_partition, total_rows
from tidemill.steps.step_messages import Work, part_of
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind, Stage

# The partitions of an input; for files, models and rulings the digests of their content.
Bound: TypeAlias = "Mapping[str, Binding | str]"


class Skip(Exception):
    """The step can't run because an input is missing."""


class StepInputs:
    """Finds the inputs of steps, and puts them together as work."""

    def __init__(self, job: Job, published: PublishedView) -> None:
        self._flow = job.flow
        self._recipes = job.recipes
        self._sources = job.plan.sources
        self._rulings = job.state.rulings
        self._recorded_recipes = job.state.recipes
        self._parents = job.plan.parents
        self._published = published
        self._stale: dict[str, StaleColumns] = {}

    def resolve(self, stage: Stage, step: Step) -> dict[str, dict[str, Binding | str]]:
        """Return what the step reads of each input; Skip when something of it is missing."""
        failed = self._published.failed
        if stage.refers:
            for name in sorted({name for name, _ in failed}.intersection(stage.refers.values())):
                raise Skip(f"referenced table {name} is missing: its step failed or was skipped")
        found: dict[str, dict[str, Binding | str]] = {}
        for name, keys in step.reads.items():
            if step.windows and self._flow[name].kind is Kind.MODEL:
                continue
            found[name] = {}
            for key in keys:
                # A model whose training failed is live in its last version.
                if (name, key) in failed and name != stage.model:
                    place = "" if key == WHOLE else f" {key}"
                    raise Skip(f"upstream {name}{place} is missing: its step failed or was skipped")
                found[name][key] = self._input(stage, step, name, key)
        if step.windows:
            model = _model_of(stage)
            training = part_of(found, step.windows["training"])
            trained = key_for(self._recipes[model], WHOLE, contents(training)).key
            found[model] = {WHOLE: trained or ""}
        return found

    def _input(self, stage: Stage, step: Step, name: str, key: str) -> Binding | str:
        if name == RULINGS:
            return ruling_contents(self._step_rulings(step))[key]
        if stage.kind is Kind.INGEST and name == FILES:
            return self._sources[stage.name][key].content(step.partition)
        if stage.kind is Kind.EVALUATE and self._flow[name].kind is Kind.MODEL:
            artifact = self._artifact(name, step.subject)
            return artifact.baseline_content if step.subject == BASELINE else artifact.content
        if name == stage.model:
            return self._live(name).content
        binding = self._published.get(name, key)
        if binding is None:
            raise Skip(f"upstream {name} {key} isn't published")
        return binding

    def _step_rulings(self, step: Step) -> tuple[Ruling, ...]:
        """The rulings that count in the step's key."""
        return self._rulings.get(step.stage, {}).get(step.partition, ())

    def _artifact(self, model: str, subject: str) -> Artifact:
        if subject == LIVE:
            return self._published.live[model]
        binding = self._published.get(model, WHOLE)
        if binding is None or binding.product.artifact is None:
            raise Skip(f"{model} has no artifact")
        return binding.product.artifact

    def _live(self, model: str) -> Artifact:
        artifact = self._published.live.get(model)
        if artifact is None:
            raise Skip(f"{model} has no approved model")
        return artifact

    def work(
        self,
        stage: Stage,
        step: Step,
        inputs: Mapping[str, Bound],
        *,
        key: str = "",
        parent: Artifact | None = None,
    ) -> Work:
        """Return the step as plain data, to be run in any process."""
        artifact = None
        if stage.kind is Kind.EVALUATE:
            artifact = None if step.windows else self._artifact(_model_of(stage), step.subject)
        elif stage.model:
            artifact = self._live(stage.model)
        seen = self._sources.get(stage.name, {}) if stage.kind is Kind.INGEST else {}
        return Work(
            stage=stage.name,
            partition=step.partition,
            recipe=self._recipes[stage.name].digest,
            subject=step.subject,
            windows=step.windows,
            inputs={
                name: {key: item for key, item in items.items() if isinstance(item, Binding)}
                for name, items in inputs.items()
                if name != stage.model
            },
            files={
                path: cut_to_partition(seen[path], step.partition)
                for path in (inputs.get(FILES, ()) if seen else ())
            },
            rulings=self._step_rulings(step),
            artifact=artifact,
            source_rows=total_rows(seen) if step.partition == UNPLACED else 0,
            key=key if stage.kind is Kind.MODEL else "",
            parent=parent,
        )

    def published_key(
        self, stage: Stage, inputs: Mapping[str, Bound], held: Binding | None
    ) -> StepKey:
        """The key that a model would have if it continued what the published version continued."""
        return training_key(self._recipes[stage.name], contents(inputs), recorded_parent(held))

    def continued_key(
        self, stage: Stage, step: Step, inputs: Mapping[str, Bound]
    ) -> tuple[StepKey, Artifact | None]:
        """The key of a training, and the version that it continues: none without new partitions."""
        parent, found = self._parents.get(stage.name) if step.parent else None, contents(inputs)
        digest = ""
        if parent is not None:
            digest = parent_digest(parent, unseen_partitions(parent, snapshot_of(found)))
        key = training_key(self._recipes[stage.name], found, digest)
        return key, parent if digest else None

    def stale_columns(
        self, stage: Stage, held: Binding, inputs: Mapping[str, Bound], digests: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Return the columns of a published partition to recompute, where the others can stay as they are."""
        if stage.name not in self._stale:
            before = self._recorded_recipes.get(stage.name, {})
            self._stale[stage.name] = StaleColumns(stage, self._recipes[stage.name], before)
        found = {name: self._at_run_start(name, bound) for name, bound in inputs.items()}
        return self._stale[stage.name].find(held, digests, contents(inputs), contents(found))

    def _at_run_start(self, name: str, bound: Bound) -> Bound:
        """The partitions of an input as they were when the run began."""
        was = {
            key: item if isinstance(item, str) else self._published.at_start(name, key)
            for key, item in bound.items()
        }
        return {key: item for key, item in was.items() if item is not None}


def contents(inputs: Mapping[str, Bound]) -> dict[str, Contents]:
    """Return what the step's key depends on of its inputs."""
    return {
        name: {key: item if isinstance(item, str) else item.product for key, item in bound.items()}
        for name, bound in inputs.items()
    }


def _model_of(evaluation: Stage) -> str:
    return next(item.name for item in evaluation.inputs if item.contract is None)
