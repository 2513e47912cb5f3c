"""Plans as notebooks show them: a row per stage with its steps and why they run, and one per trigger."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.figures import approximate_seconds
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.core.printable import html_text
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_label import status_label
from tidemill.planning.plan import Plan, Step

_NAMED_REASONS = 3


def plan_html(plan: Plan) -> str:
    """The plan, with what it is expected to take."""
    return notebook_html(_state(plan), _stages(plan), _triggers(plan))


def _state(plan: Plan) -> str:
    status = DrawnStatus.CURRENT if plan.empty else DrawnStatus.DUE
    label = status_label(status, "nothing to do" if plan.empty else "due")
    cpu = plan.estimate.cpu_s
    known = f"about {approximate_seconds(cpu)} of CPU time by earlier steps" if cpu else ""
    return f'<p>{label} <span class="soft">{html_text(known)}</span></p>'


def _stages(plan: Plan) -> str:
    grouped = plan.by_stage()
    rows = (
        (
            name,
            ", ".join(dict.fromkeys(str(step.action) for step in grouped.get(name, ()))),
            f"{len(grouped.get(name, ())):,}",
            f"{plan.current.get(name, 0):,}",
            summarize_keys({step.partition for step in grouped.get(name, ())} - {WHOLE}),
            _reasons_of(grouped.get(name, ())),
        )
        for name in dict.fromkeys((*plan.current, *grouped))
    )
    headers = ("stage", "action", ">steps", ">up to date", "partitions", "why")
    return notebook_table(headers, rows, caption=plan.headline)


def _triggers(plan: Plan) -> str:
    """A row per trigger of a model: what it saw, and how far it is from firing."""
    rows = [
        (
            model.stage,
            leaf.trigger,
            leaf.seen,
            leaf.figures,
            "yes" if leaf.fires else "no",
            "; ".join(filter(None, (leaf.note, model.evidence.note))),
        )
        for model in plan.models
        if model.evidence is not None
        for leaf in model.evidence.leaves()
    ]
    headers = ("model", "trigger", "saw", "distance", "fires", "note")
    return notebook_table(headers, rows, caption="triggers") if rows else ""


def _reasons_of(steps: Iterable[Step]) -> str:
    """The first few different reasons of some steps."""
    reasons = list(dict.fromkeys(reason for step in steps for reason in step.reasons))
    more = len(reasons) - _NAMED_REASONS
    return "; ".join(reasons[:_NAMED_REASONS]) + (f"; {more:,} more reasons" if more > 0 else "")
