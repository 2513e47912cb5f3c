"""What a promotion would do, and what would hold it back: planned, and changing nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from tidemill.core.errors import GateError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.environments.io.environments import load_state
from tidemill.environments.io.promotion import require_same_code
from tidemill.governance.change_verdict import Verdict
from tidemill.governance.permissions import Permission
from tidemill.ledger.policy import SubjectKind
from tidemill.models.gates import lift_refusals
from tidemill.planning.missing_rows import MISSING_EXIT_CODE
from tidemill.planning.plan import Plan
from tidemill.planning.request import Request
from tidemill.ports.ledger import State
from tidemill.project.enforcement import enforcement_of, governance_for, is_governed
from tidemill.project.plans import Plans
from tidemill.project.policy_preview import contract_verdicts
from tidemill.project.promotion_policy import promotion_proposal
from tidemill.project.workspace import Workspace

# That of a run with a source that can't be read.
_UNREAD_EXIT_CODE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionPreview:
    """The plan of a promotion of `source`, and what holds it back as far as that is known now.

    Those are rules and people; sources that can't be read are in the plan.
    `exit_code` is that of the promotion, as far as it can be foreseen: 0 if nothing is known to hold it back.
    """

    source: str
    plan: Plan
    held_by: tuple[str, ...] = ()
    exit_code: int = 0


def preview_promotion(
    space: Workspace, plans: Plans, source: str, request: Request
) -> PromotionPreview:
    """Plan the promotion of the environment `source` to the workspace's, and change nothing.

    UsageError when the code isn't what `source` ran, DeclarationError with the faults of the workflow,
    AccessError if the actor may not promote.
    """
    space.require(Permission.PROMOTE)
    plans.refuse_faults(request)
    tools = space.tools
    try:
        tune = partial(space.options.apply_profile, space.declared)
        require_same_code(tools, tune, space.recipes, source, space.environment)
        state = _judged_anew(space, source)
        plan = plans.make_governed(state, request)
        refused, held = _held_by(space, state, plan, source, request)
    finally:
        tools.external_sources.close()
    # In the order in which the promotion comes upon them.
    codes = (
        (refused, GateError.exit_code),
        (any(plan.broken.values()), _UNREAD_EXIT_CODE),
        (held, GateError.exit_code),
        (plan.unsettled, MISSING_EXIT_CODE),
    )
    return PromotionPreview(
        source=source,
        plan=plan,
        held_by=tuple(dict.fromkeys((*refused, *held))),
        exit_code=next((code for found, code in codes if found), 0),
    )


def _judged_anew(space: Workspace, source: str) -> State:
    """The state of the target, where what is live in the source is judged whatever gates said before."""
    state = space.state(whole=True)
    live = load_state(space.tools.ledger, source).live.values()
    theirs = {delivery.artifact.id for delivery in live}
    return replace(state, decisions=lift_refusals(state.decisions, theirs))


def _held_by(
    space: Workspace, state: State, plan: Plan, source: str, request: Request
) -> tuple[list[str], list[str]]:
    """The messages of rules and reviews that would hold the promotion back, and those about its contracts."""
    if not is_governed(space):
        return [], []
    enforcement = enforcement_of(space, source, again=request.ask_again)
    first: list[Verdict] = []
    if enforcement.governs(SubjectKind.PROMOTION):
        first.append(enforcement.preview(promotion_proposal(space, source)))
    governance = governance_for(space, state, enforcement)
    return _notes(first), _notes(contract_verdicts(space, state, plan, governance))


def _notes(verdicts: Iterable[Verdict]) -> list[str]:
    return [note for verdict in verdicts if not verdict.allowed for note in verdict.notes]
