"""Explain a recorded decision: what each rule said, with which values, and who could approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.expression import show_values
from tidemill.governance.policy import PolicyRule, RuleEffect
from tidemill.ledger.policy import FactValue, PolicyDecision, PolicyOutcome, RuleHit, Waiver

# Of texts of a fact, so many are listed.
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRule:
    """A rule that applied: its condition, and the same with the values of the facts; "" if not known."""

    hit: RuleHit
    when: str = ""
    values: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedDecision:
    """A decision, the rules that applied, those that didn't, and the waivers in force for its name.

    `approvals` say who may approve. `current` is whether the rules are still those that decided. The recorded
    text of those was `altered` if a name in it was erased.
    """

    decision: PolicyDecision
    environment: str
    rules: tuple[ExplainedRule, ...]
    others: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    current: bool = True
    altered: bool = False


def explain_decision(
    decision: PolicyDecision,
    environment: str,
    *,
    rules: Sequence[PolicyRule],
    waivers: Mapping[str, Waiver],
    current: bool,
    altered: bool = False,
) -> ExplainedDecision:
    """Explain a decision by the `rules` that made it, as far as they are known, and the `waivers` by id.

    The text of the rules may have been `altered` since.
    """
    known = {rule.id: rule for rule in rules}
    hits = {hit.rule for hit in decision.hits}
    return ExplainedDecision(
        decision=decision,
        environment=environment,
        rules=tuple(_explained(hit, known.get(hit.rule), decision) for hit in decision.hits),
        others=tuple(
            rule.id for rule in rules if decision.kind in rule.kinds and rule.id not in hits
        ),
        approvals=approvals_of(decision),
        waivers=tuple(waivers[id] for id in decision.waivers if id in waivers),
        current=current,
        altered=altered,
    )


def approvals_of(decision: PolicyDecision) -> tuple[str, ...]:
    """Who may approve a decision that waits for a review, a line for each rule that asks for it."""
    if decision.outcome != PolicyOutcome.REVIEW:
        return ()
    asking = [hit for hit in decision.hits if hit.effect == RuleEffect.REVIEW and not hit.waiver]
    return tuple(f"{hit.rule}: {_approval(hit, decision)}" for hit in asking)


def fact_text(value: FactValue) -> str:
    """The value of a fact as people read it."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        more = f", ... {len(value) - _SHOWN:,} more" if len(value) > _SHOWN else ""
        return ", ".join(value[:_SHOWN]) + more or "none"
    return f"{value:g}" if isinstance(value, float) else f"{value}" or '""'


def _approval(hit: RuleHit, decision: PolicyDecision) -> str:
    people = "one person" if hit.people == 1 else f"{hit.people} people"
    among = f"of {', '.join(hit.approvers)}" if hit.approvers else "who may review"
    author = f", but not {decision.actor or 'the author'}" if not hit.author_may_approve else ""
    return f"{people} {among}{author}"


def _explained(hit: RuleHit, rule: PolicyRule | None, decision: PolicyDecision) -> ExplainedRule:
    if rule is None:
        return ExplainedRule(hit=hit)
    if rule.function:
        return ExplainedRule(hit=hit, when=f"{rule.function}()")
    when = " ".join(rule.when.split())
    return ExplainedRule(hit=hit, when=when, values=show_values(rule.when, decision.facts))
