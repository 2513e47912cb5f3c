"""Say in words what a plan notes besides its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.core.counts import plural
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.ledger.off_peak import describe_waiting
from tidemill.planning.missing_rows import kept_lines, missing_lines
from tidemill.planning.plan import ModelState, Plan
from tidemill.planning.stage_reasons import planned_partitions, unlikely_condition
from tidemill.workflow.trigger import TriggerEvidence

# How many stages without history are named; more are only counted.
_NAMED = 3


def plan_remarks(plan: Plan) -> Mapping[str, tuple[str, ...]]:
    """The lines under each title, also of titles without any."""
    waiting: dict[tuple[str, str], list[str]] = {}
    for item in plan.waiting:
        key = (item.stage, item.reason.replace(f" {item.partition} ", " "))
        waiting.setdefault(key, []).append(item.partition)
    return {
        "models": tuple(
            line
            for model in plan.models
            for line in (
                model_line(model, plan),
                *trigger_lines(model.evidence),
                model.refused,
                model.note,
                *model.drift,
            )
            if line
        ),
        "waiting": tuple(
            " ".join(filter(None, (stage, summarize_keys(set(keys) - {WHOLE, ""})))) + f": {reason}"
            for (stage, reason), keys in waiting.items()
        ),
        "off-peak": tuple(map(describe_waiting, plan.deferred)),
        "can't be read": tuple(
            f"{stage}: {text}" for stage, files in plan.broken.items() for text in files.values()
        ),
        "missing": tuple(missing_lines(plan)),
        "notes": (*plan.notes, *kept_lines(plan)),
    }


def without_history(plan: Plan) -> str:
    """The steps that the estimate leaves out, in words; "" if there are none."""
    unknown = plan.estimate.unknown
    if not unknown:
        return ""
    if not plan.estimate.wall_s:
        return "no history to estimate from"
    steps = sum(unknown.values())
    if len(unknown) > _NAMED:
        left_out = f"{plural(steps, 'step')} of {len(unknown)} stages"
    else:
        (first, number), *others = unknown.items()
        left_out = f"{plural(number, 'step')} of {first}"
        left_out += "".join(f", {more:,} of {stage}" for stage, more in others)
    return f"{left_out} {'has' if steps == 1 else 'have'} no history"


def trigger_lines(evidence: TriggerEvidence | None, indent: str = "  ") -> Iterator[str]:
    """Describe what each part of a trigger saw, and how far it is from firing."""
    if evidence is None:
        return
    if evidence.parts:
        if evidence.note:
            yield f"{indent}{evidence.note}"
        for part in evidence.parts:
            yield from trigger_lines(part, indent + "  " if part.parts else indent)
        return
    fires = " fires" if evidence.fires else ""
    found = "; ".join(filter(None, (evidence.seen, evidence.figures, evidence.note)))
    yield f"{indent}{evidence.trigger}{fires}: {found}"


def model_line(model: ModelState, plan: Plan) -> str:
    """Describe whether a model is outdated and due for training, and why."""
    trigger = f"; retrained when {model.trigger}" if model.trigger else ""
    lineage = f"; {model.lineage}" if model.lineage else ""
    training = [step for step in plan.steps if step.stage == model.stage and step.unlikely]
    if training:
        outcome = unlikely_condition(training[0], planned_partitions(plan))
        return f"{model.stage}: may be due ({'; '.join(model.due)}), {outcome}{lineage}{trigger}"
    outdated = f"outdated ({'; '.join(model.outdated)})" if model.outdated else ""
    due = f"due ({'; '.join(model.due)})" if model.due else "not due"
    # A model that was never trained, or is asked for, is due without being outdated.
    state = ", ".join(filter(None, (outdated or ("" if model.due else "up to date"), due)))
    return f"{model.stage}: {state}{lineage}{'' if model.due else trigger}"
