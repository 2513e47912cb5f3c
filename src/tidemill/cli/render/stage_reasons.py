"""Render the reasons of a plan for one stage."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.cli.render.figures import plural
from tidemill.cli.render.plan_and_receipt import model_line, remark_lines, trigger_lines
from tidemill.cli.render.recipe import recipe_line
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.planning.plan import Plan
from tidemill.planning.stage_reasons import ReasonGroup, StageReasons

_FILES = 3
# Reasons that the names of the changed files make redundant.
_REDUNDANT = ("files changed", "rows changed")
# The action on one partition, and on several.
_ACTIONS = {
    "run": ("runs", "run"),
    "bind": ("is reused from an earlier run", "are reused from earlier runs"),
    "recheck": ("is rechecked", "are rechecked"),
    "train": ("is trained", "are trained"),
    "evaluate": ("is scored", "are scored"),
    "gate": ("goes through its gates", "go through their gates"),
    "deliver": ("is delivered", "are delivered"),
    "remove": ("is removed", "are removed"),
    "wait": ("waits", "wait"),
    "stay": ("is up to date", "are up to date"),
    "made": ("was published", "were published"),
}


def render_why(why: StageReasons, plan: Plan, *, parts_of_it: bool = False) -> str:
    """Render what the plan does with the stage, the upstream causes, and the stage's recipe.

    With `parts_of_it` the request doesn't cover all partitions, so the others may be outdated.
    """
    # A model that isn't trained may still be outdated: `model_line` describes it.
    own = [group for group in why.groups if why.model is None or group.does != "stay"]
    lines = [_headline(why, plan), "", *(_line(group, parts_of_it) for group in own)]
    if not why.groups and why.model is None:
        lines.append(f"{why.stage}: nothing is published, and nothing would run")
    if why.model is not None:
        lines += [model_line(why.model, plan), *trigger_lines(why.model.evidence)]
    lines += [f"because {_line(group, parts_of_it)}" for group in why.because]
    lines += ["", recipe_line(why.recipe, why.recipe_parts, why.judged_by, why.opaque)]
    return "\n".join((*lines, *remark_lines(plan, ("can't be read", "notes"))))


def _headline(why: StageReasons, plan: Plan) -> str:
    own = [group for group in why.groups if group.does not in ("wait", "stay")]
    counts = (
        (sum(len(g.partitions) for g in own if not g.unlikely), "step", ""),
        (sum(len(g.partitions) for g in own if g.unlikely), "step", " may follow"),
        (_count(why.groups, "wait"), "partition", " waiting"),
        (_count(why.groups, "stay"), "partition", " up to date"),
    )
    shown = [plural(number, noun) + rest for number, noun, rest in counts if number]
    return f"{why.stage} in {plan.environment}: {', '.join(shown) or 'nothing to do'}"


def _count(groups: Iterable[ReasonGroup], does: str) -> int:
    return sum(len(group.partitions) for group in groups if group.does == does)


def _line(group: ReasonGroup, parts_of_it: bool) -> str:
    """`flights 2013-03-07 runs: data/flights/2013-03-07.parquet changed`."""
    where = f"{group.stage} {summarize_keys(set(group.partitions) - {WHOLE, ''})}".rstrip()
    does = _ACTIONS[group.does][len(group.partitions) > 1]
    if group.unlikely:
        return f"{where} may follow, {'; '.join(group.reasons)}"
    if group.does == "stay":
        requested = ", or not requested" if parts_of_it else ""
        return f"{where} {does}{requested}: {'; '.join(_files(group))}".removesuffix(": ")
    if group.run:
        does = f"{does} by run {group.run} since"
    reasons = [reason for reason in group.reasons if reason not in _REDUNDANT or not group.files]
    return f"{where} {does}: {'; '.join((*reasons, *_files(group)))}".removesuffix(": ")


def _files(group: ReasonGroup) -> list[str]:
    rest = len(group.files) - _FILES
    return [*group.files[:_FILES], *([f"and {rest:,} more"] if rest > 0 else [])]
