"""Which stages are known to be wholly current, and what of the others may not be.

A run that leaves a stage wholly current says so with a mark. Its signature names all that the plan of
the stage depends on. While that is what it was, and this plan changes none of its inputs, there is
nothing to do for the stage, and no partition is looked at. If it changes some partitions of them, and a
partition of the stage sees no others than its own, only those are looked at.

The mark of an ingest holds for the files that the ledger knows, and is dropped when it sees others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.partition import UNPLACED
from tidemill.ledger.binding import Mark
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning.draft import Draft, asked_again
from tidemill.planning.plan import Plan
from tidemill.quarantine.ruling_input import InForce, digest_of_all
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.partition_mapping import Cuts, alike, cuts_of
from tidemill.workflow.stage import Flow, Input, Kind, Stage
from tidemill.workflow.window import written

_KINDS = (Kind.INGEST, Kind.TRANSFORM, Kind.DELIVER)
# What was tried again counts as what came of it in the end.
_GOOD = (Outcome.OK, Outcome.BOUND, Outcome.CURRENT, Outcome.RETRIED)


def may_settle(stage: Stage, recipe: Recipe) -> bool:
    """Whether a stage stays current by itself: the time or an unproven recipe may make it not so.

    What models and evaluations depend on (triggers, decisions, what is live) isn't in a signature.
    """
    return stage.kind in _KINDS and stage.impure is None and not recipe.unproven


def signature(
    stage: Stage,
    recipe: Recipe,
    cuts: Cuts,
    versions: Mapping[str, int],
    rulings: InForce | None = None,
) -> str:
    """Names all that the plan of a stage depends on but files; `versions` are those of heads.

    `rulings` are those in force on the stage. A run that doesn't know of one leaves no mark that hides it.

    How keys are made is a part of it too: who changes that takes another tag here.
    """
    inputs: list[Part] = [
        [
            item.name,
            versions.get(item.name, 0),
            str(cuts[item.name]),
            written(item.window) if item.window else "",
            item.optional,
            list(recipe.reads[item.name]) if item.name in recipe.reads else None,
        ]
        for item in stage.inputs
    ]
    own: list[Part] = [stage.name, versions.get(stage.name, 0), str(cuts[stage.name])]
    own += [stage.start or "", *([digest_of_all(rulings)] if rulings else [])]
    more = [recipe.wider] if recipe.wider else []
    return fingerprint("settled 2", own, recipe.digest, recipe.check, inputs, *more)


def stands(draft: Draft, stage: Stage) -> bool:
    """Whether a stage is as it was when it was marked, and what is asked for lets it be so."""
    mark, recipe = draft.now.settled.get(stage.name), draft.recipes[stage.name]
    if mark is None or draft.now.absent or asked_again(draft, stage):
        return False
    versions = {name: head.version for name, head in draft.now.heads.items()}
    return may_settle(stage, recipe) and mark.signature == signature(
        stage, recipe, draft.cuts, versions, draft.now.rulings.get(stage.name)
    )


def suspects(draft: Draft, stage: Stage) -> frozenset[str] | None:
    """The partitions of a stage that this plan may have to change; None if that may be any."""
    if not stands(draft, stage):
        return None
    found: set[str] = set()
    for item in stage.inputs:
        changed = draft.changed.get(item.name)
        if changed and not own_only(draft, stage, item):
            return None
        found.update(changed or ())
    # Those that are looked at are looked up in each input by themselves.
    if found and not all(own_only(draft, stage, i) or _is_whole(draft, i) for i in stage.inputs):
        return None
    return frozenset(found - {UNPLACED})


def own_only(draft: Draft, stage: Stage, item: Input) -> bool:
    """Whether each partition of a stage sees only the partition of the same name of an input."""
    cut, other = draft.cuts[stage.name], draft.cuts[item.name]
    return alike(cut, other) and cut.grain == other.grain and item.window is None


def _is_whole(draft: Draft, item: Input) -> bool:
    return draft.cuts[item.name].is_whole


def settled_by(
    flow: Flow,
    recipes: Mapping[str, Recipe],
    plan: Plan,
    attempts: Sequence[Attempt],
    touched: Collection[str],
    versions: Mapping[str, int],
    rulings: Mapping[str, InForce],
) -> dict[str, Mark]:
    """The marks of the stages that a run of `plan` left wholly current.

    `attempts` are those of its steps, `touched` the stages where one reached for more than its inputs,
    `versions` those of the heads after it, `rulings` those that it knew.
    """
    cuts, steps = cuts_of(flow), plan.by_stage()
    failed = {a.stage for a in attempts if a.outcome not in _GOOD}
    tried = {(a.stage, a.partition): a.outcome for a in attempts}
    # The plan took it for granted that these come out as they are known, and readers were not told.
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
        # A partition that failed may still have moved the windows of those who were to read it.
        bad = failed.intersection([stage.name, *(item.name for item in stage.inputs)])
        if bad or stage.name in touched or stage.name not in plan.complete:
            continue
        made = [step for step in steps.get(stage.name, ()) if step.action is not Action.REMOVE]
        found[stage.name] = Mark(
            signature=signature(
                stage, recipes[stage.name], cuts, versions, rulings.get(stage.name)
            ),
            partitions=plan.current.get(stage.name, 0) + len(made),
        )
    return found
