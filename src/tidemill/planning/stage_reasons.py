"""Explain why a stage runs, waits or stays current: the reasons of a plan, followed upstream to the cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Head
from tidemill.ledger.run import Action
from tidemill.lineage.upstream import Upstream, change_basis, changed_columns
from tidemill.planning.data_stages import FILES
from tidemill.planning.plan import ModelState, Plan, Step
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.partition_mapping import partitionings_of, visible_to_unpartitioned
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Flow, Kind, Stage

# Looks up the reasons that a run recorded, by stage and partition.
RecordedReasons = Callable[[str], Mapping[tuple[str, str], tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonFacts:
    """The state that a plan was made from, as far as reasons need it."""

    heads: Mapping[str, Head]
    sources: Mapping[str, Mapping[str, SourceFile]]
    recorded_reasons: RecordedReasons


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonGroup:
    """Partitions of a stage with equal reasons.

    `does` is an action of the plan, "wait", "stay", or "made" for partitions that the run `run` published
    after they were last read. `files` are source files: `path is new`, `path changed`, `path was removed`,
    `path is unchanged`.
    """

    stage: str
    does: str
    partitions: tuple[str, ...]
    reasons: tuple[str, ...] = ()
    unlikely: bool = False
    files: tuple[str, ...] = ()
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReasons:
    """The reasons of a plan for a stage: its partitions, then the upstream causes, nearest stage first."""

    stage: str
    recipe: str
    recipe_parts: Mapping[str, str]
    judged_by: str
    opaque: str
    groups: tuple[ReasonGroup, ...]
    because: tuple[ReasonGroup, ...]
    model: ModelState | None = None


def collect_reasons(
    plan: Plan,
    flow: Flow,
    recipes: Mapping[str, Recipe],
    stage: Stage,
    before: ReasonFacts,
    partition: str = "",
) -> StageReasons:
    """Collect the reasons of a plan for a stage, or for one `partition` of it, and its upstream causes.

    The causes of a partition that is up to date are the partitions and files that it was computed from.
    """
    chain = _CauseChain(plan, flow, before)
    chain.follow(stage)
    recipe = recipes[stage.name]
    upstream = [name for name in reversed(flow.names) if name != stage.name]
    kept = chain.unchanged(stage.name)
    if partition:
        kept = chain.unchanged_inputs(stage, partition)
    return StageReasons(
        stage=stage.name,
        recipe=recipe.digest,
        recipe_parts=recipe.parts,
        judged_by=change_basis(stage, recipe),
        opaque=recipe.opaque,
        groups=(*chain.groups(stage.name), *(group for group in kept if group.stage == stage.name)),
        because=(
            *(group for name in upstream for group in chain.groups(name)),
            *(group for group in kept if group.stage != stage.name),
        ),
        model=next((model for model in plan.models if model.stage == stage.name), None),
    )


def reasons_without_partition(step: Step) -> tuple[str, ...]:
    """The reasons of a step without its own partition, so that steps with equal reasons can be grouped."""
    return tuple(_without_partition(reason, step.partition) for reason in step.reasons)


def _without_partition(reason: str, partition: str) -> str:
    if " will rerun (" in reason:
        return reason.partition(" (")[0]
    return reason.removesuffix(f" in {partition}")


def planned_partitions(plan: Plan) -> frozenset[tuple[str, str]]:
    """The stage and partition of each step in a plan."""
    return frozenset((step.stage, step.partition) for step in plan.steps)


def unlikely_condition(step: Step, steps: frozenset[tuple[str, str]]) -> str:
    """Describe the condition under which an unlikely step runs."""
    names = [name for name, keys in step.reads.items() if any((name, k) in steps for k in keys)]
    return f"only if the output of {' or '.join(f'`{name}`' for name in names)} changes"


@dataclass(slots=True)
class _Causes:
    """Partitions of a stage that are a cause: planned or waiting ones, and ones published earlier."""

    planned: set[str] = field(default_factory=set)
    published: set[str] = field(default_factory=set)


class _CauseChain:
    """Collects the upstream causes of a stage's steps, from reader to input."""

    def __init__(self, plan: Plan, flow: Flow, before: ReasonFacts) -> None:
        self._plan = plan
        self._flow = flow
        self._before = before
        self._upstream = Upstream(flow=flow, heads=before.heads)
        self._steps = plan.by_stage()
        self._planned = planned_partitions(plan)
        self._waiting = {(item.stage, item.partition) for item in plan.waiting}
        self._removed = {(s.stage, s.partition) for s in plan.steps if s.action is Action.REMOVE}
        self._causes: dict[str, _Causes] = {}
        self._gone: dict[tuple[str, str], list[str]] = {}
        for stage, files in plan.sources.items():
            for path, file in before.sources.get(stage, {}).items():
                for key in file.rows if path not in files else ():
                    self._gone.setdefault((stage, key), []).append(path)

    def follow(self, stage: Stage) -> None:
        """Walk upstream from all planned and waiting partitions of a stage."""
        own = {step.partition for step in self._steps.get(stage.name, ())}
        waiting = {partition for name, partition in self._waiting if name == stage.name}
        self._causes[stage.name] = _Causes(own | waiting)
        for reader in reversed(self._flow.stages):
            causes = self._causes.get(reader.name)
            if causes is None:
                continue
            for step in self._steps.get(reader.name, ()):
                if step.partition in causes.planned:
                    self._add_inputs(reader, step.partition, step.reads)
            self._add_waiting(reader, causes)
            for key in sorted(causes.published):
                self._add_same_run(reader, key)
            if reader.kind is Kind.MODEL:
                self._add_inputs(reader, WHOLE, self._window(reader))

    def groups(self, stage: str) -> tuple[ReasonGroup, ...]:
        """The groups of the partitions of a stage that were found to be causes."""
        causes = self._causes.get(stage, _Causes())
        steps = [s for s in self._steps.get(stage, ()) if s.partition in causes.planned]
        return (
            *self._planned_groups(steps),
            *self._waiting_groups(stage, causes),
            *self._published_groups(stage, causes),
        )

    def unchanged(self, stage: str) -> tuple[ReasonGroup, ...]:
        """The group of the partitions of a stage that stay current."""
        keys = {key for key in self._upstream.bindings(stage) if (stage, key) not in self._planned}
        kept = tuple(sorted(key for key in keys if (stage, key) not in self._waiting))
        return (ReasonGroup(stage=stage, does="stay", partitions=kept),) if kept else ()

    def unchanged_inputs(self, stage: Stage, partition: str) -> tuple[ReasonGroup, ...]:
        """The group of a partition that stays current, and of what it was computed from, nearest first.

        Models are left out: a live model may be outdated.
        """
        if not any(partition in group.partitions for group in self.unchanged(stage.name)):
            return ()
        wanted = {stage.name: {partition}}
        for reader in reversed(self._flow.stages):
            for key in sorted(wanted.get(reader.name, ())):
                for name, keys in self._upstream.partitions_read(reader, key).items():
                    if self._flow[name].kind is Kind.MODEL:
                        continue
                    read = {key for key in keys if key in self._upstream.bindings(name)}
                    wanted.setdefault(name, set()).update(read)
        return tuple(
            ReasonGroup(
                stage=name,
                does="stay",
                partitions=tuple(sorted(wanted[name])),
                files=self._unchanged_files(name, wanted[name]),
            )
            for name in reversed(self._flow.names)
            if wanted.get(name)
        )

    def _unchanged_files(self, stage: str, partitions: Collection[str]) -> tuple[str, ...]:
        files = self._before.sources.get(stage, {})
        return tuple(
            f"{path} is unchanged"
            for path in sorted(files)
            if not files[path].rows.keys().isdisjoint(partitions)
        )

    def _add_inputs(
        self, reader: Stage, partition: str, reads: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Add the inputs of a partition: steps that run before it, and partitions that are newer than it."""
        held = self._upstream.bindings(reader.name).get(partition)
        for name, keys in reads.items():
            if name not in self._flow.names:
                continue
            ahead = {key for key in keys if (name, key) in self._planned}
            causes = self._causes.setdefault(name, _Causes())
            causes.planned |= ahead
            if held is None or self._flow[name].kind is Kind.MODEL:
                continue
            if changed_columns(held, name, self._upstream.products(name, keys)) is None:
                continue
            bound = self._upstream.bindings(name)
            causes.published |= {k for k in keys if k in bound and bound[k].at > held.at} - ahead

    def _add_waiting(self, reader: Stage, causes: _Causes) -> None:
        """Add the inputs of waiting partitions that wait as well or are removed, and a missing model."""
        mine = {key for key in causes.planned if (reader.name, key) in self._waiting}
        names = [item.name for item in reader.inputs] + [reader.model] * bool(reader.model)
        for name in names if mine else ():
            keys = {key for stage, key in self._waiting | self._removed if stage == name}
            if keys & mine or WHOLE in (keys | mine):
                self._causes.setdefault(name, _Causes()).planned |= keys

    def _add_same_run(self, reader: Stage, key: str) -> None:
        """Add the inputs of a partition that the same run published."""
        run = self._upstream.bindings(reader.name)[key].run
        for name, keys in self._upstream.partitions_read(reader, key).items():
            bound = self._upstream.bindings(name)
            same = {k for k in keys if k in bound and bound[k].run == run}
            self._causes.setdefault(name, _Causes()).published |= same

    def _window(self, model: Stage) -> Mapping[str, tuple[str, ...]]:
        """The partitions that a model would be trained on; a model that isn't due has no step with them."""
        names = {item.name for item in model.frames}
        keys: dict[str, set[str]] = {
            name: set(self._upstream.readable_partitions(name)) for name in names
        }
        for step in self._plan.steps:
            if step.stage in names and step.action is not Action.REMOVE:
                keys[step.stage].add(step.partition)
        return visible_to_unpartitioned(
            model, partitionings_of(self._flow), {n: sorted(keys[n]) for n in names}
        )

    def _planned_groups(self, steps: Iterable[Step]) -> Iterable[ReasonGroup]:
        found: dict[tuple[str, bool, tuple[str, ...]], list[Step]] = {}
        for step in steps:
            reasons = (
                (unlikely_condition(step, self._planned),)
                if step.unlikely
                else reasons_without_partition(step)
            )
            found.setdefault((str(step.action), step.unlikely, reasons), []).append(step)
        for (does, unlikely, reasons), some in found.items():
            files = dict.fromkeys(file for step in some for file in self._files(step))
            yield ReasonGroup(
                stage=some[0].stage,
                does=does,
                partitions=tuple(sorted({step.partition for step in some})),
                reasons=reasons,
                unlikely=unlikely,
                files=tuple(files),
            )

    def _files(self, step: Step) -> Iterable[str]:
        """Describe the source files of a partition that changed since the last run."""
        now = self._plan.sources.get(step.stage)
        if now is None:
            return
        seen = self._before.sources.get(step.stage, {})
        for path in step.reads.get(FILES, ()):
            if path not in seen:
                yield f"{path} is new"
            elif seen[path].content(step.partition) != now[path].content(step.partition):
                yield f"{path} changed"
        yield from (
            f"{path} was removed" for path in self._gone.get((step.stage, step.partition), ())
        )

    def _waiting_groups(self, stage: str, causes: _Causes) -> Iterable[ReasonGroup]:
        found: dict[str, list[str]] = {}
        for item in self._plan.waiting:
            if item.stage == stage and item.partition in causes.planned:
                reason = item.reason.replace(f" {item.partition} ", " ")
                found.setdefault(reason, []).append(item.partition)
        for reason, keys in found.items():
            yield ReasonGroup(stage=stage, does="wait", partitions=tuple(keys), reasons=(reason,))

    def _published_groups(self, stage: str, causes: _Causes) -> Iterable[ReasonGroup]:
        found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        bound = self._upstream.bindings(stage)
        for key in sorted(causes.published - causes.planned):
            reasons = self._before.recorded_reasons(bound[key].run).get((stage, key), ())
            shared = tuple(_without_partition(reason, key) for reason in reasons)
            found.setdefault((bound[key].run, shared), []).append(key)
        for (run, reasons), keys in found.items():
            yield ReasonGroup(
                stage=stage, does="made", partitions=tuple(keys), reasons=reasons, run=run
            )
