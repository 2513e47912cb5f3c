"""Narrow a plan to one partition of a stage, and to the steps that it reads from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.ledger.run import Action
from tidemill.planning.draft import Draft
from tidemill.planning.plan import Step
from tidemill.workflow.stage import Kind, Stage

# The stage and the partition of what a step makes.
_Output: TypeAlias = tuple[str, str]


def narrow_to_partition(draft: Draft, stage: Stage, partition: str) -> None:
    """Drop the steps of a draft that one partition of a stage doesn't need; what they make stays as it is.

    UsageError when the stage has no such partition.
    """
    _require_partition(draft, stage, partition)
    needed = _needed_outputs(draft, stage, partition)
    dropped = [step for _, _, step in draft.steps if (step.stage, step.partition) not in needed]
    draft.steps = [found for found in draft.steps if (found[2].stage, found[2].partition) in needed]
    for step in dropped:
        draft.incomplete.add(step.stage)
        if step.action is not Action.GATE and step.partition in draft.bindings(step.stage):
            draft.current[step.stage] += 1
    draft.waiting = [
        item
        for item in draft.waiting
        if item.stage == stage.name and item.partition in (partition, "")
    ]
    draft.models = [model for model in draft.models if (model.stage, WHOLE) in needed]


def _require_partition(draft: Draft, stage: Stage, partition: str) -> None:
    if draft.partitionings[stage.name].is_whole or stage.kind in (Kind.MODEL, Kind.EVALUATE):
        if partition != WHOLE:
            raise UsageError(f"{stage.name} has no partitions: leave out {partition!r}")
        return
    waiting = {item.partition for item in draft.waiting if item.stage == stage.name}
    planned = {step.partition for _, _, step in draft.steps if step.stage == stage.name}
    known = {*planned, *draft.bindings(stage.name), *waiting - {""}}
    if partition not in known:
        there = f"there is {summarize_keys(known)}" if known else "there is none yet"
        raise UsageError(
            f"{stage.name} has no partition {partition!r}: {there}; to select a range of time, use --from "
            "and --to"
        )


def _needed_outputs(draft: Draft, stage: Stage, partition: str) -> set[_Output]:
    """The output of a step and, transitively, of the steps that it reads from."""
    steps: dict[_Output, list[Step]] = {}
    for _, _, step in draft.steps:
        steps.setdefault((step.stage, step.partition), []).append(step)
    needed: set[_Output] = set()
    wanted: list[_Output] = [(stage.name, partition), *_of_model(draft, stage, steps)]
    while wanted:
        output = wanted.pop()
        if output not in needed:
            needed.add(output)
            wanted += [
                read for step in steps.get(output, ()) for read in _reads(draft, step, steps)
            ]
    return needed


def _of_model(draft: Draft, stage: Stage, steps: Mapping[_Output, list[Step]]) -> Iterator[_Output]:
    """The steps that decide which model is live, for a stage that delivers its predictions."""
    names = {stage.model, *(other.name for other in draft.flow.readers(stage.model))}
    if stage.kind is Kind.DELIVER:
        kinds = (Kind.MODEL, Kind.EVALUATE)
        yield from (
            made for made in steps if made[0] in names and draft.flow[made[0]].kind in kinds
        )


def _reads(draft: Draft, step: Step, steps: Mapping[_Output, list[Step]]) -> Iterator[_Output]:
    yield from ((name, key) for name, keys in step.reads.items() for key in keys)
    # Its rules look at all of the tables that it refers to.
    tables = set(draft.flow[step.stage].refers.values())
    yield from (made for made in steps if made[0] in tables)
