"""Hold the partitions of sources that lost rows, and identify what a plan would remove."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import summarize_keys
from tidemill.ledger.run import Action
from tidemill.planning.draft import Draft, is_before_start
from tidemill.planning.plan import MissingRows, Plan, Removals
from tidemill.planning.request import is_selected
from tidemill.reuse.input_contents import OverlaidContents
from tidemill.sources.missing import find_missing
from tidemill.sources.scan import Scan, partitions_with_changed_files
from tidemill.workflow.stage import Stage

# So many paths are named in a message.
_NAMED = 3
_CONTRACT = "contract"
# The exit code of a run whose sources lost rows.
MISSING_EXIT_CODE = 3


def hold_missing(draft: Draft, stage: Stage, scan: Scan) -> frozenset[str]:
    """Note what a source lost, and return the published partitions that stay as they are therefore.

    Partitions before the stage's start, or outside of the requested time range, aren't in question.
    """
    known = draft.facts.sources.get(stage.name, {})
    # Mostly nothing changed: then no published partition is looked at.
    if not partitions_with_changed_files(known, scan.files):
        return frozenset()
    published = draft.bindings(stage.name)
    wanted: Collection[str] = published.keys()
    if stage.start:
        wanted = {key for key in published if not is_before_start(stage, key)}
    found = find_missing(known, scan, wanted)
    if found is None:
        return frozenset()
    held = found.partitions
    if draft.request.removals_allowed and scan.on_missing == "fail":
        cut = draft.partitionings[stage.name]
        held = frozenset(key for key in held if not is_selected(draft.request, key, cut))
    blocked = found.outdated and bool(held) and _is_recontracted(draft, stage)
    draft.missing.append(
        MissingRows(
            stage=stage.name,
            policy="remove" if draft.request.removals_allowed and not held else scan.on_missing,
            missing=found,
            held=frozenset(published) if blocked else held,
            noun=scan.noun,
            blocked=blocked,
        )
    )
    if scan.on_missing == "fail" and held:
        draft.incomplete.add(stage.name)
    if blocked:
        keep_blocked(draft, stage)
    return held


def _is_recontracted(draft: Draft, stage: Stage) -> bool:
    """Whether the contract of a stage, and maybe its partitioning, changed since it was published."""
    before = draft.facts.recipes.get(stage.name, {}).get(_CONTRACT)
    return before != draft.recipes[stage.name].parts.get(_CONTRACT)


def leave_out(draft: Draft, stage: Stage) -> None:
    """Plan nothing for a stage: it keeps its published partitions."""
    draft.contents[stage.name] = OverlaidContents(draft.bindings(stage.name))


def keep_blocked(draft: Draft, stage: Stage) -> None:
    """Plan nothing for a stage, nor for those that read it."""
    leave_out(draft, stage)
    draft.current[stage.name] = len(draft.bindings(stage.name))
    draft.blocked.add(stage.name)
    draft.incomplete.add(stage.name)


def removals_of(allowed: Plan, held: Plan) -> Removals | None:
    """Return what would be removed if removals were allowed.

    `allowed` and `held` are plans of the same moment, with and without that permission.
    """
    kept = {(s.stage, s.partition) for s in held.steps if s.action is Action.REMOVE}
    removed: dict[str, list[str]] = {}
    for step in allowed.steps:
        if step.action is Action.REMOVE and (step.stage, step.partition) not in kept:
            removed.setdefault(step.stage, []).append(step.partition)
    free = {item.stage: item.held - allowed.held(item.stage) for item in held.unsettled}
    shrunk = {
        item.stage: keys
        for item in held.unsettled
        if (keys := [key for key in item.missing.shrunk if key in free[item.stage]])
    }
    if not any(free.values()):
        return None
    gone = {stage: sorted(keys) for stage, keys in removed.items()}
    # What follows from a loss downstream isn't part of the id: a run may publish more of it meanwhile.
    lost = [
        [item.stage, *item.missing.paths, gone.get(item.stage, [])]
        for item in held.unsettled
        if free[item.stage]
    ]
    return Removals(
        id=fingerprint("removals", lost, shrunk)[:8],
        removed={stage: tuple(keys) for stage, keys in gone.items()},
        shrunk={stage: tuple(keys) for stage, keys in shrunk.items()},
    )


def missing_lines(plan: Plan) -> list[str]:
    """Say what sources lost and what that means, a line per stage, and how to go on."""
    lines = [_missing_line(plan, item) for item in plan.unsettled]
    if lines:
        lines.append(_ways_on(plan))
    return lines


def kept_lines(plan: Plan) -> list[str]:
    """Say which partitions are kept for good although their source lost rows."""
    return [
        f"{item.stage} keeps {summarize_keys(item.held)}: {_loss(plan, item)}"
        for item in plan.missing
        if item.policy == "keep"
    ]


def _missing_line(plan: Plan, item: MissingRows) -> str:
    found, loss = item.missing, _loss(plan, item)
    if item.blocked:
        return f"{item.stage}: {loss}, and its contract changed, so that they would have to be read again"
    effects = {
        "be removed": item.held.intersection(found.removed),
        "lose rows": item.held.intersection(found.shrunk) - found.moved,
        "change": item.held & found.moved,
    }
    follows = (f"{summarize_keys(keys)} would {effect}" for effect, keys in effects.items() if keys)
    return f"{item.stage}: {loss}; {' and '.join(follows)}"


def _loss(plan: Plan, item: MissingRows) -> str:
    """Say which files are gone or lost rows, or how many rows of a table are gone."""
    found = item.missing
    if item.noun != "files":
        share = found.lost / max(1, found.rows)
        return f"{found.lost:,} of {found.rows:,} rows ({share:.0%}) are gone"
    there = plan.sources.get(item.stage, {})
    gone = [path for path in found.paths if path not in there]
    less = [path for path in found.paths if path in there]
    said = [f"{_paths(gone)} {'is' if len(gone) == 1 else 'are'} gone"] if gone else []
    said += [f"{_paths(less)} lost rows"] if less else []
    return ", ".join(said)


def _paths(paths: Sequence[str]) -> str:
    more = len(paths) - _NAMED
    return ", ".join(paths[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _ways_on(plan: Plan) -> str:
    declare = 'declare on_missing="remove" (or "keep") in the source'
    if plan.removals is not None:
        return f"nothing was removed; allow it by --allow-removals {plan.removals.id}, or {declare}"
    return f"nothing was removed; to allow it, run without a time range, limit or partition, or {declare}"
