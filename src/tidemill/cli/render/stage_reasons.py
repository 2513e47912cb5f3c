"""Render the reasons of a plan for one stage."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.cli.render.figures import plural
from tidemill.cli.render.plan_and_receipt import remark_lines
from tidemill.cli.render.recipe import recipe_line
from tidemill.planning.plan import Plan
from tidemill.planning.plan_remarks import model_line, trigger_lines
from tidemill.planning.reason_lines import reason_line
from tidemill.planning.stage_reasons import ReasonGroup, StageReasons


def render_why(why: StageReasons, plan: Plan, *, parts_of_it: bool = False) -> str:
    """Render what the plan does with the stage, the upstream causes, and the stage's recipe.

    With `parts_of_it` the request doesn't cover all partitions, so the others may be outdated.
    """
    # A model that isn't trained may still be outdated: `model_line` describes it.
    own = [group for group in why.groups if why.model is None or group.does != "stay"]
    lines = [
        _headline(why, plan),
        "",
        *(reason_line(group, parts_of_it=parts_of_it) for group in own),
    ]
    if not why.groups and why.model is None:
        lines.append(f"{why.stage}: nothing is published, and nothing would run")
    if why.model is not None:
        lines += [model_line(why.model, plan), *trigger_lines(why.model.evidence)]
    lines += [f"because {reason_line(group, parts_of_it=parts_of_it)}" for group in why.because]
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
