"""What people are told about rules that touch a change, waivers of them, and the facts that they saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.governance.change_detail import ChangeDetail
from tidemill.governance.page_values import PageSection, PageTable, page_table, section
from tidemill.governance.review_page import moment
from tidemill.governance.review_vote import person_text
from tidemill.ledger.policy import FactValue, PolicyDecision, RuleHit, Waiver
from tidemill.ledger.review import Review

# The facts of changes of data that say what somebody loses.
_LOSSES = {
    "broken_consumers": "consumers that break",
    "breaking_changes": "changes that break",
    "broken_rules": "rules that the rows break",
    "moved_rows": "share of the published rows that change",
    "rows_changed": "share of the rows that change",
    "stale": "it is older than its contract allows",
    "personal_columns": "personal data in it",
}
# The detail of a change says more about these.
_IN_DETAIL = ("broken_consumers", "breaking_changes", "broken_rules")
NO_DETAIL = ChangeDetail()


def rule_section(decision: PolicyDecision | None, waivers: Iterable[Waiver]) -> PageSection:
    """The rules that apply to a change, and the waivers in force that touch it."""
    hits = decision.hits if decision is not None else ()
    rows = [(hit.rule, _effect(hit), hit.message, _people(hit)) for hit in hits]
    lines = [
        f"waiver {waiver.id} lifts {waiver.rule} for {waiver.scope} until {moment(waiver.expires)}: "
        f"{waiver.reason} ({waiver.actor})"
        for waiver in waivers
    ]
    table = page_table(("rule", "effect", "message", "approvers"), rows)
    return section("Rules and waivers", lines, table=table)


def _effect(hit: RuleHit) -> str:
    if hit.waiver:
        return f"waived by {hit.waiver}"
    return f"deny: {hit.error}" if hit.error else hit.effect


def _people(hit: RuleHit) -> str:
    if hit.effect != "review":
        return "-"
    names = ", ".join(map(person_text, hit.approvers))
    return f"{hit.people} of {names or 'the reviewers'}"


def plain_sections(
    review: Review,
    decision: PolicyDecision | None,
    waivers: Iterable[Waiver],
    detail: ChangeDetail = NO_DETAIL,
) -> tuple[PageSection, ...]:
    """The sections about a change that isn't a model: its detail, and its facts."""
    asked = f", in run {review.run}" if review.run else ""
    by = f"{review.author or 'nobody known'} asked for it on {moment(review.opened)}{asked}"
    parts = [
        section("What changes", detail.changes or [f"{review.kind} {review.label}"]),
        section(
            "Why now", [by, *(f"people are asked because: {reason}" for reason in review.reasons)]
        ),
        section("What gets worse", _worse(decision, detail)),
        section(
            "How to go back",
            detail.back or ["reject it, and nothing changes"],
            commands=detail.commands,
        ),
        *detail.sections,
        rule_section(decision, waivers),
        section("Facts that the rules saw", [_exactly(review)], table=_facts(decision)),
        section("Not known", detail.missing),
    ]
    return tuple(part for part in parts if not part.is_empty)


def _exactly(review: Review) -> str:
    return f"the digest of exactly this change is {review.subject}"


def _worse(decision: PolicyDecision | None, detail: ChangeDetail) -> Iterator[str]:
    """What somebody loses: by its detail, and by the facts that say so."""
    yield from detail.worse
    facts = decision.facts if decision is not None else {}
    told = _IN_DETAIL if detail.worse else ()
    found = [
        (words, facts[name])
        for name, words in _LOSSES.items()
        if facts.get(name) and name not in told
    ]
    for words, value in found:
        yield f"{words}: {_value(value)}"
    if not found and not detail.worse:
        yield "nothing that is recorded gets worse; the facts are below"


def _facts(decision: PolicyDecision | None) -> PageTable:
    facts = decision.facts if decision is not None else {}
    rows = [(name, _value(value)) for name, value in sorted(facts.items())]
    return page_table(("fact", "value"), rows)


def _value(value: FactValue) -> str:
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value) or "none"
