"""Group the steps of a plan by stage, action and reason, so that a plan of any size can be shown."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.ledger.run import Action
from tidemill.planning.plan import Plan, Step, estimate_of
from tidemill.planning.stage_reasons import (
    planned_partitions,
    reasons_without_partition,
    unlikely_condition,
)

# The words for actions that plans record under another name.
_ACTIONS = {"bind": "reuse"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepGroup:
    """Steps of a stage with the same action and reasons: how many, on which `partitions`, in words.

    `removed` of them remove a partition. `wall_s` is their estimated time in seconds, None if none of the
    kind ever ran. They `may_follow` if they run only when an earlier step has an unexpected output; what
    `is_held` is only done if removals are allowed.
    """

    stage: str
    action: str
    steps: int
    partitions: str
    reasons: tuple[str, ...]
    wall_s: float | None = None
    removed: int = 0
    may_follow: bool = False
    is_held: bool = False


def step_groups(plan: Plan) -> tuple[StepGroup, ...]:
    """The groups of all steps, stage by stage in the order in which stages run."""
    by_stage, planned = plan.by_stage(), planned_partitions(plan)
    return tuple(
        group
        for stage in planned_stages(plan)
        for group in (
            *_stage_groups(stage, by_stage.get(stage, ()), planned),
            *_held_groups(plan, stage),
        )
    )


def planned_stages(plan: Plan) -> tuple[str, ...]:
    """All stages that a plan covers, in the order of the workflow."""
    return tuple(dict.fromkeys((*plan.current, *plan.by_stage())))


def _stage_groups(
    stage: str, steps: list[Step] | tuple[()], planned: frozenset[tuple[str, str]]
) -> Iterator[StepGroup]:
    found: dict[tuple[str, bool, tuple[str, ...]], list[Step]] = {}
    for step in steps:
        reasons = (
            (unlikely_condition(step, planned),)
            if step.unlikely
            else reasons_without_partition(step)
        )
        action = _ACTIONS.get(step.action, str(step.action))
        found.setdefault((action, step.unlikely, reasons), []).append(step)
    for (action, may_follow, reasons), some in found.items():
        yield StepGroup(
            stage=stage,
            action=action,
            steps=len(some),
            partitions=summarize_keys({step.partition for step in some} - {WHOLE}),
            reasons=reasons,
            wall_s=estimate_of(some).wall_s,
            removed=sum(step.action is Action.REMOVE for step in some),
            may_follow=may_follow,
        )


def _held_groups(plan: Plan, stage: str) -> Iterator[StepGroup]:
    """What is only done if removals are allowed."""
    if plan.removals is None:
        return
    own = any(item.stage == stage for item in plan.missing)
    if removed := plan.removals.removed.get(stage, ()):
        why = "its source lost it" if own else "its input would be removed"
        yield _held_group(stage, "remove", removed, why, len(removed))
    if shrunk := plan.removals.shrunk.get(stage, ()):
        yield _held_group(stage, "run", shrunk, "its source lost rows of it", 0)


def _held_group(
    stage: str, action: str, keys: tuple[str, ...], why: str, removed: int
) -> StepGroup:
    return StepGroup(
        stage=stage,
        action=action,
        steps=len(keys),
        partitions=summarize_keys({*keys} - {WHOLE}),
        reasons=(why,),
        removed=removed,
        is_held=True,
    )
