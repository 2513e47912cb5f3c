"""What rules and reviews will say of the changes of a plan, as far as that is known before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.governance.change_verdict import Verdict
from tidemill.governance.common_facts import common_facts
from tidemill.governance.personal_columns import delivered_columns, personal_columns
from tidemill.ledger.policy import FactValue, SubjectKind
from tidemill.ledger.run import Action
from tidemill.planning.plan import Plan, Step
from tidemill.ports.ledger import State
from tidemill.project.enforcement import enforcement_of, governance_for
from tidemill.project.workspace import Workspace
from tidemill.runs.io.contract_decisions import (
    changed_contracts,
    contract_proposal,
    published_contracts,
)
from tidemill.runs.io.job import Governance
from tidemill.workflow.gate_kinds import PROCESS_GATES
from tidemill.workflow.stage import Kind, Stage


def policy_notes(space: Workspace, state: State, plan: Plan) -> tuple[str, ...]:
    """A line for each rule that will hold a change of a plan, and for each review that is open.

    Nothing is recorded. What only the run will find out, such as how many rows move, isn't foreseen.
    """
    governance = governance_for(space, state, enforcement_of(space))
    steps = plan.by_stage()
    verdicts = contract_verdicts(space, state, plan, governance)
    found = [note for verdict in verdicts for note in verdict.notes]
    for name, planned in steps.items():
        stage = space.flow[name]
        if any(step.action is Action.GATE for step in planned):
            found += _model_notes(stage, state, governance)
            found += _reuse_notes(stage, governance)
        if stage.kind is Kind.DELIVER:
            found += _table_notes(space, stage, state, planned, governance)
    return tuple(dict.fromkeys((*found, *_open_reviews(governance))))


def contract_verdicts(
    space: Workspace, state: State, plan: Plan, governance: Governance
) -> Iterator[Verdict]:
    """What would be decided now on each contract that a plan publishes by for the first time."""
    if not governance.enforcement.governs(SubjectKind.CONTRACT):
        return
    known = published_contracts(space.tools.ledger, state)
    changed = changed_contracts(space.flow, space.recipes, state, known)
    for stage, before in changed.items():
        if stage in plan.current:
            proposal = contract_proposal(governance, space.flow, space.recipes, stage, before)
            yield governance.enforcement.preview(proposal)


def _model_notes(stage: Stage, state: State, governance: Governance) -> Iterator[str]:
    terms = stage.approval.review if stage.approval is not None else None
    if terms is not None:
        when = f" when {terms.when}" if terms.when else ""
        yield f"{stage.name}: the workflow asks for a review of a candidate that passes its gates{when}"
    context = governance.context
    facts: dict[str, FactValue] = {
        **common_facts(context, stage.name),
        "first_delivery": stage.name not in state.live,
        "budget_declared": context.budget,
        "retention_declared": context.keeps,
    }
    yield from governance.enforcement.foresee(SubjectKind.DELIVERY, stage.name, facts)


def _reuse_notes(stage: Stage, governance: Governance) -> Iterator[str]:
    """A note if a candidate waits that gates needn't measure again."""
    gates = stage.approval.gates if stage.approval is not None else ()
    names = ", ".join(str(gate) for gate in gates if isinstance(gate, PROCESS_GATES))
    place = (SubjectKind.DELIVERY, stage.name, "")
    waits = any(
        s.is_open and s.place == place for s in governance.enforcement.open_reviews.values()
    )
    if names and waits:
        yield (
            f"{stage.name}: {names} measure the candidate that waits again only if it, the live model, the "
            "rules or the rows changed"
        )


def _table_notes(
    space: Workspace, stage: Stage, state: State, steps: list[Step], governance: Governance
) -> Iterator[str]:
    assert stage.sink is not None
    held = state.heads[stage.name].partitions if stage.name in state.heads else {}
    facts: dict[str, FactValue] = {
        **common_facts(governance.context, stage.name),
        "first_delivery": not held,
        "sink": stage.sink.format,
        "public_sink": stage.public,
        "personal_columns": personal_columns(
            space.flow, space.recipes, delivered_columns(stage, space.flow)
        ),
        "partitions": len(steps),
        "retention_declared": governance.context.keeps,
    }
    yield from governance.enforcement.foresee(SubjectKind.TABLE, stage.name, facts)


def _open_reviews(governance: Governance) -> Iterator[str]:
    for state in governance.enforcement.open_reviews.values():
        if state.is_open:
            review = state.review
            yield f"{review.label}: a {review.kind} waits in review {review.id}"
