"""Decide on contracts that differ from those that were published last, before a run publishes by them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.contract_facts import (
    ContractChange,
    contract_change,
    contract_facts,
    contract_text,
    read_contract,
    text_digest,
)
from tidemill.governance.review_state import ReviewSubject
from tidemill.governance.subjects import contract_subject
from tidemill.governance.verdict import Proposal
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ContractPublished
from tidemill.ledger.policy import SubjectKind
from tidemill.planning.plan import Plan
from tidemill.ports.ledger import Ledger, State
from tidemill.reuse.recipe import Recipe
from tidemill.runs.io.job import Governance
from tidemill.workflow.environment import history_filter
from tidemill.workflow.stage import DATA, Flow, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDecisions:
    """The events about contracts that a run records, and why stages aren't published by theirs.

    `notes` are warnings of rules. The events rest on waivers and open reviews, by id.
    """

    events: tuple[Event, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rests_on: frozenset[str] = frozenset()


def published_contracts(ledger: Ledger, state: State) -> dict[str, str]:
    """The recorded text of the contract that each stage was published by last, also before a branch began."""
    ours = history_filter(state.environments, state.environment)
    return {
        fact.event.stage: fact.event.contract
        for fact in ledger.events(kinds=("ContractPublished",))
        if isinstance(fact.event, ContractPublished) and ours(fact.event.environment, fact.seq)
    }


def changed_contracts(
    flow: Flow, recipes: Mapping[str, Recipe], state: State, known: Mapping[str, str]
) -> dict[str, str]:
    """The stages whose contract isn't the published one, each with that one; "" where it isn't recorded."""
    found: dict[str, str] = {}
    for stage in _tables(flow):
        before, now = known.get(stage.name, ""), contract_text(_spec(stage))
        if before != now and (before or not _is_baseline(stage, recipes, state)):
            found[stage.name] = before
    return found


def decide_contracts(
    ledger: Ledger,
    governance: Governance,
    flow: Flow,
    recipes: Mapping[str, Recipe],
    state: State,
    plan: Plan,
) -> ContractDecisions:
    """Decide on the contracts of the stages that a plan covers; nothing without rules on contracts.

    People are asked once more about stages that were requested to run again.
    """
    enforcement = governance.enforcement
    if not enforcement.governs(SubjectKind.CONTRACT):
        return ContractDecisions()
    known = published_contracts(ledger, state)
    changed = changed_contracts(flow, recipes, state, known)
    events: list[Event] = []
    refused: dict[str, str] = {}
    notes: list[str] = []
    rests_on: set[str] = set()
    for stage in _tables(flow, plan.current):
        text = contract_text(_spec(stage))
        record = ContractPublished(environment=state.environment, stage=stage.name, contract=text)
        if stage.name not in changed:
            events += [] if known.get(stage.name) == text else [record]
            continue
        proposal = contract_proposal(governance, flow, recipes, stage.name, changed[stage.name])
        verdict = enforcement.decide(proposal, again=stage.name in plan.reruns)
        events += verdict.events
        if verdict.allowed:
            events.append(record)
            notes += verdict.notes
            rests_on |= verdict.rests_on
        else:
            refused[stage.name] = "\n".join(verdict.notes)
    return ContractDecisions(
        events=tuple(events), refused=refused, notes=tuple(notes), rests_on=frozenset(rests_on)
    )


def contract_proposal(
    governance: Governance, flow: Flow, recipes: Mapping[str, Recipe], stage: str, before: str
) -> Proposal:
    """The proposal to publish a stage by its contract of now instead of the one `before`."""
    change = contract_change(flow, recipes, stage, read_contract(before) if before else None)
    subject = ReviewSubject(
        kind=SubjectKind.CONTRACT, name=stage, subject=subject_of_contract(change, before)
    )
    return Proposal(
        change=subject,
        title=f"contract {change.new.title} of {stage}",
        facts=contract_facts(governance.context, change),
    )


def subject_of_contract(change: ContractChange, before: str) -> str:
    """The digest of a changed contract; `before` is the text of the published one."""
    return contract_subject(
        change.stage,
        text_digest(before),
        text_digest(contract_text(change.new)),
        [consumer.stage for consumer in change.consumers],
    )


def _tables(flow: Flow, names: Collection[str] | None = None) -> list[Stage]:
    """The stages that publish tables by a contract."""
    return [
        stage
        for stage in flow.stages
        if stage.kind in DATA
        and stage.output is not None
        and (names is None or stage.name in names)
    ]


def _spec(stage: Stage) -> ContractSpec:
    assert stage.output is not None
    return stage.output


def _is_baseline(stage: Stage, recipes: Mapping[str, Recipe], state: State) -> bool:
    """Whether a stage has published nothing, or by the contract that it has now."""
    recorded = state.recipes.get(stage.name, {})
    if "contract" in recorded:
        return recorded["contract"] == recipes[stage.name].parts.get("contract")
    return stage.name not in state.heads or not state.heads[stage.name].partitions
