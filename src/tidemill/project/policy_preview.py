"""What rules and reviews will say of the changes of a plan, as far as that is known before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.governance.change_verdict import Verdict
from tidemill.governance.common_facts import common_facts
from tidemill.governance.io.enforcement import ForeseenRule
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
    """A line for each rule that will hold a change of a plan, and for each review that is open."""
    return tuple(each.text for each in foreseen_rules(space, state, plan))


def foreseen_rules(space: Workspace, state: State, plan: Plan) -> tuple[ForeseenRule, ...]:
    """What rules and reviews will say of the changes of a plan, and whether it holds them back.

    Nothing is recorded. What only the run will find out, such as how many rows move, isn't foreseen.
    """
    governance = governance_for(space, state, enforcement_of(space))
    steps = plan.by_stage()
    verdicts = contract_verdicts(space, state, plan, governance)
    found = [each for verdict in verdicts for each in _foreseen_of(verdict)]
    for name, planned in steps.items():
        stage = space.flow[name]
        if any(step.action is Action.GATE for step in planned):
            found += _model_notes(stage, state, governance)
            found += _reuse_notes(stage, governance)
        if stage.kind is Kind.DELIVER:
            found += _table_notes(space, stage, state, planned, governance)
    return tuple(dict.fromkeys((*found, *_open_reviews(governance))))


def _foreseen_of(verdict: Verdict) -> Iterator[ForeseenRule]:
    if verdict.message:
        yield ForeseenRule(text=verdict.message, holds=not verdict.allowed)
    for warning in verdict.warnings:
        yield ForeseenRule(text=warning, holds=False)


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


def _model_notes(stage: Stage, state: State, governance: Governance) -> Iterator[ForeseenRule]:
    terms = stage.approval.review if stage.approval is not None else None
    if terms is not None:
        when = f" when {terms.when}" if terms.when else ""
        text = f"the workflow asks for a review of a candidate that passes its gates{when}"
        yield ForeseenRule(text=f"{stage.name}: {text}", holds=True)
    context = governance.context
    facts: dict[str, FactValue] = {
        **common_facts(context, stage.name),
        "first_delivery": stage.name not in state.live,
        "budget_declared": context.budget,
        "retention_declared": context.keeps,
    }
    yield from governance.enforcement.foresee_rules(SubjectKind.DELIVERY, stage.name, facts)


def _reuse_notes(stage: Stage, governance: Governance) -> Iterator[ForeseenRule]:
    """A note if a candidate waits that gates needn't measure again."""
    gates = stage.approval.gates if stage.approval is not None else ()
    names = ", ".join(str(gate) for gate in gates if isinstance(gate, PROCESS_GATES))
    place = (SubjectKind.DELIVERY, stage.name, "")
    waits = any(
        s.is_open and s.place == place for s in governance.enforcement.open_reviews.values()
    )
    if names and waits:
        text = (
            f"{stage.name}: {names} measure the candidate that waits again only if it, the live model, the "
            "rules or the rows changed"
        )
        yield ForeseenRule(text=text, holds=False)


def _table_notes(
    space: Workspace, stage: Stage, state: State, steps: list[Step], governance: Governance
) -> Iterator[ForeseenRule]:
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
    yield from governance.enforcement.foresee_rules(SubjectKind.TABLE, stage.name, facts)


def _open_reviews(governance: Governance) -> Iterator[ForeseenRule]:
    for state in governance.enforcement.open_reviews.values():
        if state.is_open:
            review = state.review
            text = f"{review.label}: a {review.kind} waits in review {review.id}"
            yield ForeseenRule(text=text, holds=True)
