"""Decide by rules and reviews whether an environment may be promoted."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.errors import GateError
from tidemill.environments.io.environments import load_state
from tidemill.governance.change_verdict import ALLOWED, Verdict
from tidemill.governance.contract_facts import contract_change, read_contract
from tidemill.governance.io.enforcement import Enforcement
from tidemill.governance.promotion_facts import PromotionEvidence, Published, promotion_facts
from tidemill.governance.review_state import ReviewSubject
from tidemill.governance.subjects import promotion_subject
from tidemill.governance.verdict import Proposal
from tidemill.ledger.policy import SubjectKind
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.project.enforcement import context_of
from tidemill.project.workspace import Workspace
from tidemill.runs.io.contract_decisions import changed_contracts, published_contracts
from tidemill.workflow.environment import Environment


def require_allowed_promotion(
    space: Workspace, enforcement: Enforcement, source: str, lease: Lease
) -> Verdict:
    """Return what is to be recorded with a promotion of `source` to the workspace's environment.

    Raises GateError if rules refuse it, or if it waits for people;
    the decision is recorded.
    """
    if not enforcement.governs(SubjectKind.PROMOTION):
        return ALLOWED
    verdict = enforcement.decide(promotion_proposal(space, source))
    if not verdict.allowed:
        tools = space.tools
        if verdict.events:
            tools.ledger.append(verdict.events, now=tools.clock(), guard=Guard(lease=lease))
        raise GateError("\n".join(verdict.notes))
    return verdict


def promotion_proposal(space: Workspace, source: str) -> Proposal:
    """The promotion of `source` to the workspace's environment, with the facts that rules decide on."""
    ours = load_state(space.tools.ledger, space.environment, whole=True)
    theirs = load_state(space.tools.ledger, source, whole=True)
    evidence = PromotionEvidence(
        source=source,
        published=_published(theirs),
        target=_published(ours),
        recipes=theirs.recipes,
        target_recipes=ours.recipes,
        live={name: delivery.artifact.id for name, delivery in theirs.live.items()},
        target_live={name: delivery.artifact.id for name, delivery in ours.live.items()},
        sample=theirs.environments.get(source, Environment(name=source)).sample,
        broken=_broken_consumers(space, ours),
    )
    return Proposal(
        change=ReviewSubject(
            kind=SubjectKind.PROMOTION,
            name=space.environment,
            subject=subject_of_promotion(theirs, ours),
        ),
        title=f"promotion of {source} to {space.environment}",
        facts=promotion_facts(context_of(space, ours), space.flow, evidence),
    )


def subject_of_promotion(theirs: State, ours: State) -> str:
    """The digest of a promotion of one environment to another, of both as they are now, loaded as a whole."""
    return promotion_subject(
        theirs.environment,
        {name: "".join(sorted(parts.values())) for name, parts in theirs.recipes.items()},
        _contents(_published(theirs)),
        _contents(_published(ours)),
    )


def _published(state: State) -> Published:
    return {
        name: {key: binding.product for key, binding in head.partitions.items()}
        for name, head in state.heads.items()
    }


def _contents(published: Published) -> Mapping[str, Mapping[str, str]]:
    return {
        name: {key: product.content for key, product in held.items()}
        for name, held in published.items()
    }


def _broken_consumers(space: Workspace, ours: State) -> tuple[str, ...] | None:
    """The stages that changed contracts break; None if an earlier contract isn't recorded."""
    known = published_contracts(space.tools.ledger, ours)
    broken: set[str] = set()
    for stage, before in changed_contracts(space.flow, space.recipes, ours, known).items():
        if not before:
            return None
        change = contract_change(space.flow, space.recipes, stage, read_contract(before))
        broken.update(change.broken or ())
    return tuple(sorted(broken))
