"""What people are told about rules that touch a change, waivers of them, and the facts that they saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tidemill.governance.page_values import PageSection, PageTable, page_table, section
from tidemill.governance.review_page import moment
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
    return f"{hit.people} of {', '.join(hit.approvers) or 'the reviewers'}"


def plain_sections(
    review: Review, decision: PolicyDecision | None, waivers: Iterable[Waiver]
) -> tuple[PageSection, ...]:
    """The sections about a change that isn't a model: its facts are all that is recorded about it."""
    asked = f", in run {review.run}" if review.run else ""
    by = f"{review.author or 'nobody known'} asked for it on {moment(review.opened)}{asked}"
    parts = [
        section(
            "What changes", [f"{review.kind} {review.label}, exactly as of {review.subject}", by]
        ),
        section("Why now", [f"people are asked because: {reason}" for reason in review.reasons]),
        section("What gets worse", _worse(decision)),
        section("How to go back", _way_back(review)),
        section("Facts", table=_facts(decision)),
        rule_section(decision, waivers),
    ]
    return tuple(part for part in parts if not part.is_empty)


def _worse(decision: PolicyDecision | None) -> Iterator[str]:
    """The facts that say what somebody loses."""
    facts = decision.facts if decision is not None else {}
    found = [(words, facts[name]) for name, words in _LOSSES.items() if facts.get(name)]
    for words, value in found:
        yield f"{words}: {_value(value)}"
    if not found:
        yield "nothing that is recorded gets worse; the facts are below"


def _way_back(review: Review) -> Iterator[str]:
    yield "reject it, and nothing changes"
    ways = {
        "table": f"delivered rows of an earlier run come back with `tidemill restore {review.name}`",
        "contract": "a published contract goes back by declaring the version before, with a run",
        "promotion": "a promotion goes back by promoting an environment with the code and data before",
        "release": f"released rows go back with `tidemill quarantine undo {review.name}`",
    }
    if review.kind in ways:
        yield ways[review.kind]


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
    return f"{value:.6g}" if isinstance(value, float) else str(value)
