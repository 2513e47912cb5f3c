"""The rules and reviews that the changes of a workspace's environment obey."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import GateError
from tidemill.ledger.governance_events import ContractPublished, ReviewOpened
from tidemill.ledger.policy import SubjectKind
from tidemill.planning.plan import Plan
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import Environment
from tidemill.workflow.stage import Flow

if TYPE_CHECKING:
    from tidemill.governance.common_facts import ChangeContext
    from tidemill.governance.io.enforcement import Enforcement
    from tidemill.runs.io.contract_decisions import ContractDecisions
    from tidemill.runs.io.job import Governance


def is_governed(space: Workspace) -> bool:
    """Whether the project has rules, its workflow asks for reviews, or people were asked before."""
    return space.has_rules or asks_for_reviews(space.declared) or _has_reviews(space)


def governs_releases(space: Workspace) -> bool:
    """Whether rules decide on releases of quarantined rows, or people are asked."""
    return is_governed(space) and enforcement_of(space).governs(SubjectKind.RELEASE)


def _has_reviews(space: Workspace) -> bool:
    # What people decided against stays back without the rule that asked them.
    return any(space.tools.ledger.events(kinds=(ReviewOpened.__name__,), limit=1))


def asks_for_reviews(flow: Flow) -> bool:
    """Whether any model of a workflow has terms of reviews."""
    return any(s.approval is not None and s.approval.review is not None for s in flow.stages)


def governance_of(
    space: Workspace,
    state: State,
    plan: Plan,
    enforcement: Enforcement,
    lease: Lease,
    *,
    at_once: bool,
) -> Governance:
    """What governs the changes of a run, with the decisions on the contracts that it would publish by.

    GateError for a contract that is refused, if everything is published `at_once`; the decision is recorded.
    """
    governance = governance_for(space, state, enforcement)
    decided: ContractDecisions = import_module(
        "tidemill.runs.io.contract_decisions"
    ).decide_contracts(space.tools.ledger, governance, space.flow, space.recipes, state, plan)
    if at_once and decided.refused:
        asked = [event for event in decided.events if not isinstance(event, ContractPublished)]
        if asked:
            guard = Guard(lease=lease)
            space.tools.ledger.append(asked, now=space.tools.clock(), guard=guard)
        raise GateError("\n".join(decided.refused.values()))
    return replace(
        governance,
        first=decided.events,
        refused=decided.refused,
        notes=decided.notes,
        rests_on=decided.rests_on,
    )


def governance_for(space: Workspace, state: State, enforcement: Enforcement) -> Governance:
    """What governs the changes of a run, before anything is decided."""
    pins = import_module("tidemill.governance.io.project_pins").project_pins
    found: Governance = import_module("tidemill.runs.io.job").Governance(
        enforcement=enforcement,
        context=context_of(space, state),
        pinned=lambda: pins(space.root),
        decisions=_governed_changes,
    )
    return found


def _governed_changes(*given: Any) -> Any:
    # Only a run with steps needs what decides on them.
    return import_module("tidemill.runs.io.governed_changes").GovernedChanges(*given)


def end_overdue_reviews(space: Workspace) -> None:
    """End, remind of or escalate the reviews that nobody decided in time."""
    if is_governed(space):
        import_module("tidemill.project.reviews").Reviews(space).expire()


def enforcement_of(space: Workspace, source: str = "", *, again: bool = False) -> Enforcement:
    """What decides on changes of the workspace's environment, by the current rules.

    The promotion of an environment `source` asks for them, if there is one. With `again` people are asked
    once more.
    """
    found: Enforcement = import_module("tidemill.governance.io.enforcement").Enforcement(
        space.tools.ledger,
        space.rules,
        space.environment,
        author=space.actor,
        clock=space.tools.clock,
        source=source,
        again=again,
    )
    return found


def context_of(space: Workspace, state: State) -> ChangeContext:
    """Where changes are made, by whom, and what the project declares."""
    here = state.environments.get(space.environment, Environment(name=space.environment))
    found: ChangeContext = import_module("tidemill.governance.common_facts").ChangeContext(
        workflow=space.declared.name,
        environment=space.environment,
        author=space.actor.name,
        owner=space.declared.owner,
        profile=space.options.profile or here.profile,
        sample=here.sample,
        keeps=space.settings.retention.is_declared,
        budget=space.settings.budget.is_declared,
    )
    return found
