"""Check approvals, and that what serves or delivers a model takes one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.core.errors import Fault, did_you_mean
from tidemill.workflow.review import ReviewTerms
from tidemill.workflow.stage import Approval, Kind, Stage
from tidemill.workflow.workflow import Workflow


def approval_faults(workflow: Workflow, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Yield approvals of unknown models, without gates, of one model twice, and with wrong reviews."""
    models = [stage.name for stage in stages.values() if stage.kind is Kind.MODEL]
    seen: dict[str, str] = {}
    for approval in workflow.approvals:
        if approval.model in seen:
            message = (
                f"approve({approval.model}) is declared twice, first at {seen[approval.model]}"
            )
            yield Fault(message=message, where=approval.place, hint="list all gates in one")
        seen.setdefault(approval.model, approval.place)
        if approval.model not in models:
            message = f"approve({approval.model}): this workflow has no such model"
            hint = did_you_mean(approval.model, models)
            yield Fault(message=message, where=approval.place, hint=hint)
        if not approval.gates:
            message = f"approve({approval.model}) has no gates, so any model would pass"
            yield Fault(
                message=message, where=approval.place, hint="gates=[tm.beats_baseline('mae')]"
            )
        terms: object = approval.review
        if terms is not None and not isinstance(terms, ReviewTerms):
            message = f"approve({approval.model}): review={terms!r} was not made by tm.review()"
            yield Fault(
                message=message, where=approval.place, hint="review=tm.review(by='ops-leads')"
            )


def approved_model_faults(model: object, workflow: Workflow) -> Iterator[tuple[str, str]]:
    """Yield why a table or an endpoint can't take `model`, and what to write instead."""
    if not isinstance(model, Approval):
        name = getattr(model, "__name__", repr(model))
        yield (
            f" takes the model {name!r}, which is not approved",
            f"live = flow.approve({name}, gates=[...]); then model=live",
        )
    elif not any(model is known for known in workflow.approvals):
        yield (
            f" takes an approval of {model.model!r} by another workflow",
            f"live = flow.approve({model.model}, gates=[...]); then model=live",
        )
