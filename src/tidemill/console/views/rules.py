"""Policy rules and their waivers, and decisions by them."""

from __future__ import annotations

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.decision_explanation import ExplainedDecision, fact_text
from tidemill.governance.permissions import Permission
from tidemill.governance.policy import RuleEffect
from tidemill.governance.waivers import WaiverState
from tidemill.ledger.policy import SubjectKind
from tidemill.project.policy import DecisionPage, ListedRule
from tidemill.project.project import Project

_MOST_WAIVERS, _MOST = 100, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """A rule, and how often it applied; `condition` is its expression, or the function that decides.

    `expires` is its last day, "" if it has none; `waivers` are the ids of those in force.
    """

    id: str
    kinds: tuple[SubjectKind, ...]
    effect: RuleEffect
    condition: str
    message: str
    people: int
    approvers: tuple[str, ...]
    author_may_approve: bool
    expires: str
    has_expired: bool
    hits: int
    waived: int
    waivers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverLine:
    """A waiver of a rule for stages, models or environments that match `scope`; how it ended, if it did."""

    id: str
    rule: str
    scope: str
    reason: str
    actor: str
    at: float
    expires: float
    in_force: bool
    ended: float | None
    ended_by: str
    end_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesView:
    """The rules, with what they did `since`, and the last waivers, of which there are `all_waivers`.

    `scopes` are the names that a waiver may be for, besides patterns.
    """

    file: str
    digest: str
    since: str
    rules: tuple[RuleLine, ...]
    waivers: tuple[WaiverLine, ...]
    all_waivers: int
    scopes: tuple[str, ...]
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """A decision explained; `facts` are the values that it was made by, in words."""

    explained: ExplainedDecision
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedWaiver:
    """The waiver that was begun or ended; `told` says so."""

    waiver: str
    told: str


def list_rules(project: Project, since: str = "90d") -> RulesView:
    """List the policy rules, how often they applied in decisions since so long ago, and the waivers."""
    policy, space = project.policy, project.workspace
    waivers = policy.waivers()
    return RulesView(
        file=str(space.rules_path) if space.has_rules else "",
        digest=policy.rules.digest,
        since=since,
        rules=tuple(map(_rule, policy.list(since))),
        waivers=tuple(map(_waiver, waivers[: -_MOST_WAIVERS - 1 : -1])),
        all_waivers=len(waivers),
        scopes=(*space.flow.names, *sorted({space.environment, *space.state().environments})),
        right=action_right(project, Permission.WAIVE),
    )


def list_decisions(project: Project, before: int = 0, limit: int = 50) -> DecisionPage:
    """List decisions of the policy, newest first.

    `before` is the `next` of the page before; `limit` is at most 200.
    """
    return project.policy.page(max(before, 0), min(max(limit, 1), _MOST))


def explain_decision(project: Project, decision: str) -> DecisionView:
    """Explain a decision: which rules applied with which values, who may approve, and which waivers count.

    `decision` is an id, or the beginning of one.
    """
    found = project.policy.explain(decision)
    facts = ((name, fact_text(value)) for name, value in found.decision.facts.items())
    return DecisionView(explained=found, facts=tuple(facts))


def waive_rule(
    project: Project, rule: str, scope: str, reason: str, ttl: str = "", until: str = ""
) -> ChangedWaiver:
    """Lift a rule for a stage, a model or an environment, for a time such as 14d, or until a day."""
    made = project.policy.waive(rule, scope, reason=reason, ttl=ttl or None, until=until or None)
    return ChangedWaiver(waiver=made.id, told=f"{made.rule} is waived for {made.scope}: {made.id}.")


def end_waiver(project: Project, waiver: str, reason: str = "") -> ChangedWaiver:
    """End a waiver before it expires."""
    done = project.policy.unwaive(waiver, reason=reason)
    return ChangedWaiver(waiver=waiver, told=f"The waiver {waiver} of {done.waiver.rule} is over.")


def _rule(listed: ListedRule) -> RuleLine:
    rule = listed.rule
    return RuleLine(
        id=rule.id,
        kinds=tuple(sorted(rule.kinds)),
        effect=rule.effect,
        condition=" ".join(rule.when.split()) or f"{rule.function}()",
        message=rule.message,
        people=rule.people,
        approvers=rule.approvers,
        author_may_approve=rule.author_may_approve,
        expires="" if rule.expires is None else rule.expires.isoformat(),
        has_expired=listed.expired,
        hits=listed.hits,
        waived=listed.waived,
        waivers=tuple(each.id for each in listed.waivers),
    )


def _waiver(state: WaiverState) -> WaiverLine:
    waiver = state.waiver
    return WaiverLine(
        id=waiver.id,
        rule=waiver.rule,
        scope=waiver.scope,
        reason=waiver.reason,
        actor=waiver.actor,
        at=waiver.at,
        expires=waiver.expires,
        in_force=state.in_force,
        ended=state.ended,
        ended_by=state.ended_by,
        end_reason=state.reason,
    )
