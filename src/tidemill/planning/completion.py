"""Skip the partitions of stages that are known to be fully current.

A run that leaves a stage fully current records a completion mark. The signature of the mark digests
everything that the plan of the stage depends on. While the signature is equal and the plan changes none
of the stage's inputs, the stage needs no steps and its partitions aren't checked. If the plan changes some
partitions of the inputs, and each partition of the stage reads only its own, only those are checked.

The mark of an ingest is valid for the files in the ledger, and is dropped when others are found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.partition import UNPLACED
from tidemill.ledger.binding import Mark
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning.draft import Draft, is_rerun_requested
from tidemill.planning.plan import Plan
from tidemill.quarantine.ruling_input import RulingsByPartition, rulings_digest
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.model import Artifact
from tidemill.workflow.partition_mapping import (
    Partitionings,
    has_same_keys,
    is_alike,
    partitionings_of,
)
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import window_code

_KINDS = (Kind.INGEST, Kind.TRANSFORM, Kind.DELIVER)
# A retried attempt counts by its last outcome.
_GOOD = (Outcome.OK, Outcome.BOUND, Outcome.CURRENT, Outcome.RETRIED)


def can_be_marked(stage: Stage, recipe: Recipe) -> bool:
    """Whether a stage stays current until something changes; not if it is impure or unproven.

    Models and evaluations never do: triggers, decisions and the live model aren't in the signature.
    """
    return stage.kind in _KINDS and stage.impure is None and not recipe.unproven


def mark_signature(
    stage: Stage,
    recipe: Recipe,
    cuts: Partitionings,
    versions: Mapping[str, int],
    rulings: RulingsByPartition | None = None,
    live: Artifact | None = None,
) -> str:
    """Digest everything that the plan of a stage depends on except files.

    `versions` are those of the heads of the stage and its inputs. `rulings` are those in force on the stage:
    a mark of a run that didn't know a ruling doesn't hide it. `live` is the live version of the model that a
    table follows.

    The signature also depends on how keys are computed and results judged: a change of that needs a new
    tag here.
    """
    inputs: list[Part] = [
        [
            item.name,
            versions.get(item.name, 0),
            str(cuts[item.name]),
            window_code(item.window) if item.window else "",
            item.optional,
            list(recipe.reads[item.name]) if item.name in recipe.reads else None,
        ]
        for item in stage.inputs
    ]
    own: list[Part] = [stage.name, versions.get(stage.name, 0), str(cuts[stage.name])]
    own += [stage.start or "", *([rulings_digest(rulings)] if rulings else [])]
    more: list[Part] = [recipe.table_check] if recipe.table_check else []
    clocks = [cuts[name].clock for name in (stage.name, *(item.name for item in stage.inputs))]
    if len(set(filter(None, clocks))) > 1:
        more.append(clocks)
    if stage.model:
        more.append(["model", stage.model])
    if (stage.on_new_model == "rescore" or stage.exclude_training) and live is not None:
        more.append(["live", live.content])
        if stage.exclude_training:
            more.append("exclude_training")
    return fingerprint("settled 3", own, recipe.digest, recipe.check, inputs, *more)


def is_unchanged(draft: Draft, stage: Stage) -> bool:
    """Whether a stage is unchanged since its completion mark, and the request doesn't rerun it."""
    mark, recipe = draft.facts.marks.get(stage.name), draft.recipes[stage.name]
    if mark is None or draft.facts.missing_objects or is_rerun_requested(draft, stage):
        return False
    heads = draft.facts.heads
    names = (stage.name, *(item.name for item in stage.inputs))
    versions = {name: heads[name].version for name in names if name in heads}
    live = draft.facts.live.get(stage.model)
    return can_be_marked(stage, recipe) and mark.signature == mark_signature(
        stage,
        recipe,
        draft.partitionings,
        versions,
        draft.facts.rulings.get(stage.name),
        live.artifact if live is not None else None,
    )


def suspect_partitions(draft: Draft, stage: Stage) -> frozenset[str] | None:
    """The partitions of a stage that the plan may have to change; None if it may be any."""
    if not is_unchanged(draft, stage):
        return None
    found: set[str] = set()
    for item in stage.inputs:
        changed = draft.changed[item.name]
        if changed and not reads_only_own_partition(draft, stage, item):
            return None
        found.update(changed)
    # Each suspect partition must be readable by itself from every input.
    if found and not all(
        reads_only_own_partition(draft, stage, i) or _is_whole(draft, i) for i in stage.inputs
    ):
        return None
    return frozenset(found - {UNPLACED})


def reads_only_own_partition(draft: Draft, stage: Stage, item: Input) -> bool:
    """Whether each partition of a stage reads only the partition of the same name of an input."""
    cut, other = draft.partitionings[stage.name], draft.partitionings[item.name]
    return is_alike(cut, other) and has_same_keys(cut, other) and item.window is None


def _is_whole(draft: Draft, item: Input) -> bool:
    return draft.partitionings[item.name].is_whole


def completion_marks(  # noqa: PLR0913 - the facts of a run
    flow: Flow,
    recipes: Mapping[str, Recipe],
    plan: Plan,
    attempts: Sequence[Attempt],
    touched: Collection[str],
    versions: Mapping[str, int],
    rulings: Mapping[str, RulingsByPartition],
    live: Mapping[str, Artifact] | None = None,
) -> dict[str, Mark]:
    """The completion marks of the stages that a run of `plan` left fully current.

    `attempts` are those of its steps, `touched` the stages with a step that used hidden inputs, `versions`
    those of the heads after the run, `rulings` those that the run knew, `live` the live versions.
    """
    cuts, steps = partitionings_of(flow), plan.by_stage()
    failed = {a.stage for a in attempts if a.outcome not in _GOOD}
    tried = {(a.stage, a.partition): a.outcome for a in attempts}
    # The plan of the readers assumed that these steps bind or recheck the known result.
    other = {
        name
        for name, own in steps.items()
        if any(
            step.action is Action.RECHECK
            or (step.action is Action.BIND and tried.get((name, step.partition)) != Outcome.BOUND)
            for step in own
        )
    }
    found: dict[str, Mark] = {}
    for stage in flow.stages:
        if any(item.name in other for item in stage.inputs):
            other.add(stage.name)
            continue
        # A failed partition may still have moved the windows of its readers.
        bad = failed.intersection([stage.name, *(item.name for item in stage.inputs)])
        if bad or stage.name in touched or stage.name not in plan.complete:
            continue
        made = [step for step in steps.get(stage.name, ()) if step.action is not Action.REMOVE]
        found[stage.name] = Mark(
            signature=mark_signature(
                stage,
                recipes[stage.name],
                cuts,
                versions,
                rulings.get(stage.name),
                (live or {}).get(stage.model),
            ),
            partitions=plan.current.get(stage.name, 0) + len(made),
        )
    return found
