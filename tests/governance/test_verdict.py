"""What rules, terms and reviews make of a change: nothing goes on that they didn't allow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.governance.change_verdict import Verdict
from tidemill.governance.policy import NO_RULES, PolicyRule, RuleSet, decide, rule_set
from tidemill.governance.review_state import ReviewState, ReviewSubject
from tidemill.governance.subjects import table_subject
from tidemill.governance.verdict import Occasion, Proposal, Standing, is_enough, reach_verdict
from tidemill.ledger.governance_events import (
    PolicyDecided,
    ReviewClosed,
    ReviewOpened,
    RulesLoaded,
)
from tidemill.ledger.policy import (
    FactValue,
    PolicyDecision,
    PolicyOutcome,
    SubjectKind,
    Waiver,
)
from tidemill.ledger.review import Quorum, Review, ReviewOutcome
from tidemill.testing import records as samples
from tidemill.workflow.review import ReviewTerms

NOW = 1_800_000_000.0
DELIVERY = SubjectKind.DELIVERY
EVERYTHING: dict[str, FactValue] = {
    "owner": "ops", "first_delivery": False, "prediction_shift": 0.2, "stale": False, "sampled": False,
}  # fmt: skip


def rule(when: str = "sampled", effect: str = "deny", id: str = "r", **more: Any) -> PolicyRule:
    options: dict[str, Any] = {"kinds": {DELIVERY}, "message": "look", "effect": effect, **more}
    return PolicyRule(id=id, when=when, **options)


def proposal(subject: str = "s", **facts: FactValue) -> Proposal:
    change = ReviewSubject(
        kind=DELIVERY, name="delay", subject=subject, artifact="a2", replaces="a1"
    )
    return Proposal(change=change, title="delay a2", facts={**EVERYTHING, **facts})


def verdict(
    rules: RuleSet | Sequence[PolicyRule] = NO_RULES,
    terms: ReviewTerms | None = None,
    standing: Standing | None = None,
    *,
    about: Proposal | None = None,
    again: bool = False,
    source: str = "",
) -> Verdict:
    known = rules if isinstance(rules, RuleSet) else rule_set(rules, text="rules")
    occasion = Occasion(
        environment="prod", author="ana", now=NOW, run="run-1", again=again, source=source
    )
    return reach_verdict(about or proposal(), known, terms, standing or Standing(), occasion)


def asked(
    outcome: ReviewOutcome | None = None,
    *,
    subject: str = "s",
    quorums: tuple[Quorum, ...] = (Quorum(),),
    author_may_approve: bool = True,
    replaces: str = "a1",
) -> Standing:
    """One review of the change, open or ended."""
    review = replace(
        samples.review("r1"), kind=DELIVERY, name="delay", subject=subject, quorums=quorums,
        author_may_approve=author_may_approve, replaces=replaces,
    )  # fmt: skip
    state = ReviewState(review=review, environment="prod", outcome=outcome, closed=NOW)
    return Standing(reviews={"r1": state})


def kinds(found: Verdict) -> list[str]:
    return [type(event).__name__ for event in found.events]


def test_what_no_rule_is_against_goes_on_and_is_recorded() -> None:
    found = verdict([rule()])
    assert found.allowed
    assert kinds(found) == ["RulesLoaded", "PolicyDecided"]
    loaded, decided = found.events
    assert isinstance(loaded, RulesLoaded)
    assert isinstance(decided, PolicyDecided)
    assert (loaded.rules, loaded.text) == (decided.decision.rules, "rules")
    assert (decided.decision.actor, decided.decision.run) == ("ana", "run-1")
    # The text of rules is recorded once.
    known = Standing(rules=frozenset([loaded.rules]))
    assert kinds(verdict([rule()], standing=known)) == ["PolicyDecided"]


def test_a_refusal_says_which_rule_and_what_to_do() -> None:
    found = verdict(
        [
            rule("prediction_shift > 0.1"),
            rule("cost > 1", "review", "costly"),
            rule("prediction_shift > 0", "review", "asks"),
            rule("sampled", "review", "part"),
        ],
        about=proposal(sampled=True),
    )
    assert found.outcome is PolicyOutcome.DENY
    assert found.message.splitlines() == [
        "delay a2: refused by the rules",
        "rule r: look (0.2 > 0.1)",
        "rule costly: look (it can't be evaluated: fact cost is not known)",
        "rule asks would ask for a review: look (0.2 > 0)",
        "rule part would ask for a review: look",
        "change what the rule asks for, or waive it: "
        "tidemill policy waive r --for delay --ttl 14d --reason REASON; "
        "tidemill policy waive costly --for delay --ttl 14d --reason REASON",
    ]
    # People are no longer asked about it.
    ended = verdict([rule("prediction_shift > 0.1")], standing=asked())
    assert kinds(ended)[-1] == "ReviewClosed"


def test_a_rule_that_only_warns_is_shown() -> None:
    found = verdict([rule("prediction_shift > 0.1", "warn")])
    assert (found.allowed, found.warnings) == (True, ("rule r: look",))


def test_the_same_refusal_is_recorded_once() -> None:
    rules = [rule("prediction_shift > 0.1")]
    first = verdict(rules)
    decided = first.events[-1]
    assert isinstance(decided, PolicyDecided)
    later = replace(decided.decision, id="p9", at=NOW - 9, run="run-0")
    assert verdict(rules, standing=Standing(last=lambda: later)).events == ()
    # Another fact, or other rules, are another decision.
    moved = proposal(prediction_shift=0.3)
    assert "PolicyDecided" in kinds(
        verdict(rules, standing=Standing(last=lambda: later), about=moved)
    )
    assert "PolicyDecided" in kinds(
        verdict([*rules, rule(id="x")], standing=Standing(last=lambda: later))
    )


def test_a_review_of_a_rule_asks_its_people() -> None:
    strict = rule(
        "prediction_shift > 0.1", "review", approvers=("ops",), people=2, author_may_approve=False
    )
    found = verdict([strict])
    assert found.outcome is PolicyOutcome.REVIEW
    opened = found.events[-1]
    assert isinstance(opened, ReviewOpened)
    review = opened.review
    assert review.id == found.review
    assert review.quorums == (Quorum(asked=("ops",), people=2, fixed=True),)
    assert (review.author, review.author_may_approve) == ("ana", False)
    assert (review.subject, review.artifact, review.replaces) == ("s", "a2", "a1")
    assert review.reasons == ("r: look",)
    assert "waits for review" in found.message
    assert "2 people of ops" in found.message
    assert found.message.endswith(f"tidemill review show {review.id}")


@pytest.mark.parametrize(
    ("terms", "asks"),
    [
        (tm.review(), "the workflow asks for a review of every change"),
        (tm.review(when="prediction_shift > 0.1"), "prediction_shift > 0.1"),
        (tm.review(when="prediction_shift > 0.5"), ""),
        # Who can't tell has to ask.
        (tm.review(when="cost > 3"), "cost > 3: cost not known"),
        (tm.review(when="1 / prediction_shift > 30"), ""),
        (tm.review(when="no_such_fact"), "no_such_fact: ExpressionFault: "),
    ],
)
def test_terms_of_the_workflow_ask_people(terms: ReviewTerms, asks: str) -> None:
    found = verdict(terms=terms)
    assert found.allowed == (not asks)
    opened = [e.review for e in found.events if isinstance(e, ReviewOpened)]
    assert [review.reasons[0][: len(asks)] for review in opened] == ([asks] if asks else [])
    # The facts are on record, also without any rule.
    assert "PolicyDecided" in kinds(found)


def test_a_condition_that_fails_asks_people() -> None:
    found = verdict(
        terms=tm.review(when="1 / prediction_shift > 3"), about=proposal(prediction_shift=0)
    )
    assert found.outcome is PolicyOutcome.REVIEW


def test_rules_and_terms_add_up() -> None:
    ruled = rule("prediction_shift > 0.1", "review", approvers=("ops",), people=2)
    found = verdict([ruled], tm.review(by="ana", people=1, within="1h"))
    opened = found.events[-1]
    assert isinstance(opened, ReviewOpened)
    assert opened.review.quorums == (
        Quorum(asked=("ops",), people=2, fixed=True),
        Quorum(asked=("ana",)),
    )
    assert opened.review.within == 3600
    denied = verdict([rule("prediction_shift > 0.1")], tm.review())
    assert denied.outcome is PolicyOutcome.DENY


def test_people_who_agreed_let_exactly_that_go_on() -> None:
    terms = tm.review()
    found = verdict(terms=terms, standing=asked(ReviewOutcome.APPROVED))
    assert (found.allowed, found.message) == (True, "delay a2: approved in review r1")
    other = verdict(terms=terms, standing=asked(ReviewOutcome.APPROVED, subject="before"))
    assert other.outcome is PolicyOutcome.REVIEW
    # More people are needed than agreed.
    more = verdict(terms=tm.review(people=2), standing=asked(ReviewOutcome.APPROVED))
    assert more.outcome is PolicyOutcome.REVIEW
    assert kinds(more)[-1] == "ReviewOpened"


def test_an_approval_counts_once() -> None:
    terms, standing = tm.review(), asked(ReviewOutcome.APPROVED)
    found = verdict(terms=terms, standing=standing)
    assert [e.review for e in found.events if isinstance(e, PolicyDecided)] == ["r1"]
    # Also if nobody would have been asked any more.
    found = verdict([rule()], standing=standing)
    assert [e.review for e in found.events if isinstance(e, PolicyDecided)] == ["r1"]
    other = verdict(terms=terms, standing=replace(standing, used=lambda: {"r0"}))
    assert other.allowed
    spent = replace(standing, used=lambda: {"r1"})
    found = verdict(terms=terms, standing=spent)
    assert found.outcome is PolicyOutcome.REVIEW
    assert kinds(found) == ["PolicyDecided", "ReviewOpened"]
    assert found.review != "r1"
    assert verdict([rule()], standing=spent).allowed


def test_an_open_review_is_asked_once_and_replaced_by_a_newer_one() -> None:
    terms = tm.review()
    found = verdict(terms=terms, standing=asked())
    assert (found.outcome, found.review) == (PolicyOutcome.REVIEW, "r1")
    assert kinds(found) == ["PolicyDecided"]
    assert "still waits for review r1" in found.message
    newer = verdict(terms=terms, standing=asked(subject="before"))
    assert kinds(newer) == ["PolicyDecided", "ReviewClosed", "ReviewOpened"]
    stricter = verdict(terms=tm.review(people=3), standing=asked())
    assert kinds(stricter) == ["PolicyDecided", "ReviewClosed", "ReviewOpened"]
    # What goes on is newer than what is still asked about.
    gone = verdict([rule()], standing=asked(subject="before")).events[-1]
    assert isinstance(gone, ReviewClosed)
    assert gone.outcome is ReviewOutcome.SUPERSEDED


@pytest.mark.parametrize(
    "outcome",
    [
        ReviewOutcome.REJECTED,
        ReviewOutcome.CHANGES_ASKED,
        ReviewOutcome.EXPIRED,
        ReviewOutcome.WITHDRAWN,
    ],
)
def test_what_people_rejected_is_asked_again_only_on_request(outcome: ReviewOutcome) -> None:
    terms = tm.review()
    found = verdict(terms=terms, standing=asked(outcome))
    assert found.outcome is PolicyOutcome.DENY
    assert f"review r1 ended on 2027-01-15: {outcome}" in found.message
    assert kinds(found) == ["PolicyDecided"]
    assert verdict(terms=terms, standing=asked(outcome), again=True).outcome is PolicyOutcome.REVIEW


@pytest.mark.parametrize(
    "outcome", [ReviewOutcome.REJECTED, ReviewOutcome.CHANGES_ASKED, ReviewOutcome.WITHDRAWN]
)
def test_what_people_decided_against_stays_back_when_no_rule_asks_any_more(
    outcome: ReviewOutcome,
) -> None:
    found = verdict([rule()], standing=asked(outcome))
    assert found.outcome is PolicyOutcome.DENY
    assert "review r1 ended" in found.message
    assert verdict([rule()], standing=asked(outcome), again=True).allowed
    assert verdict([rule()], standing=asked(outcome, subject="before")).allowed


def test_what_goes_on_rests_on_who_could_still_be_against_it() -> None:
    assert verdict([rule()], standing=asked()).rests_on == {"r1"}
    assert not verdict([rule()], standing=asked(subject="before")).rests_on
    assert not verdict(terms=tm.review(), standing=asked(ReviewOutcome.APPROVED)).rests_on
    waiver = Waiver(
        id="w1", rule="r", scope="*", reason="x", actor="ana", at=NOW - 9, expires=NOW + 9
    )
    standing = Standing(waivers=[waiver])
    assert verdict([rule("prediction_shift > 0.1")], standing=standing).rests_on == {"w1"}
    assert not verdict([rule("prediction_shift > 0.9")], standing=standing).rests_on
    assert not verdict([rule("prediction_shift > 0.1", "warn")], standing=standing).rests_on
    assert not verdict(terms=tm.review(), standing=asked()).rests_on


def test_nobody_who_asks_again_takes_an_approval_of_before() -> None:
    found = verdict(terms=tm.review(), standing=asked(ReviewOutcome.APPROVED), again=True)
    assert found.outcome is PolicyOutcome.REVIEW
    assert kinds(found)[-1] == "ReviewOpened"


@pytest.mark.parametrize("outcome", [ReviewOutcome.APPROVED, ReviewOutcome.REJECTED])
def test_the_decision_that_asks_again_is_recorded_with_its_review(outcome: ReviewOutcome) -> None:
    asking = rule("prediction_shift > 0.1", "review")
    [decided] = [e for e in verdict([asking]).events if isinstance(e, PolicyDecided)]
    standing = replace(asked(outcome), last=lambda: replace(decided.decision, id="p0"))
    found = verdict([asking], standing=standing, again=True)
    made, opened = found.events[-2:]
    assert isinstance(made, PolicyDecided)
    assert isinstance(opened, ReviewOpened)
    assert opened.review.decision == made.decision.id != "p0"


def test_a_review_that_only_the_workflow_asks_for_has_the_decision_with_its_facts() -> None:
    made, opened = verdict(terms=tm.review()).events
    assert isinstance(made, PolicyDecided)
    assert isinstance(opened, ReviewOpened)
    assert opened.review.decision == made.decision.id


def test_what_gates_measured_by_is_recorded_whenever_it_changed() -> None:
    terms, standing = tm.review(), asked()
    first = verdict(terms=terms, standing=standing, about=replace(proposal(), evidence="rows"))
    [decided] = [e for e in first.events if isinstance(e, PolicyDecided)]
    assert decided.decision.evidence == "rows"
    known = replace(standing, last=lambda: decided.decision)
    same = verdict(terms=terms, standing=known, about=replace(proposal(), evidence="rows"))
    assert same.events == ()
    other = verdict(terms=terms, standing=known, about=replace(proposal(), evidence="more rows"))
    assert kinds(other) == ["PolicyDecided"]


def test_an_approval_counts_only_in_place_of_what_was_live() -> None:
    standing = asked(ReviewOutcome.APPROVED, replaces="a0")
    found = verdict(terms=tm.review(), standing=standing)
    assert kinds(found)[-1] == "ReviewOpened"
    # Nor is an open review about another question.
    found = verdict(terms=tm.review(), standing=asked(replaces="a0"))
    assert kinds(found) == ["PolicyDecided", "ReviewClosed", "ReviewOpened"]


def test_a_promotion_is_named_in_what_it_asks() -> None:
    opened = verdict(terms=tm.review(), source="dev").events[-1]
    assert isinstance(opened, ReviewOpened)
    assert opened.review.source == "dev"
    found = verdict(terms=tm.review(), standing=asked(ReviewOutcome.REJECTED), source="dev")
    assert found.message.endswith("until it changes, or until `tidemill promote dev --again`")


def test_a_candidate_that_came_back_is_asked_about_again() -> None:
    found = verdict(terms=tm.review(), standing=asked(ReviewOutcome.SUPERSEDED))
    assert kinds(found)[-1] == "ReviewOpened"


def test_enough_people_are_at_least_those_who_are_wanted() -> None:
    def made(*quorums: Quorum, own: bool = True) -> Review:
        return replace(samples.review(), quorums=quorums, author_may_approve=own)

    two, ops = Quorum(people=2), Quorum(asked=("ops",))
    assert is_enough(made(two), made(Quorum()))
    assert not is_enough(made(Quorum()), made(two))
    assert not is_enough(made(two), made(ops))
    assert is_enough(made(two, ops), made(ops))
    assert is_enough(made(ops), made(Quorum(asked=("ops", "leads"))))
    assert not is_enough(made(ops), made(ops, own=False))
    assert is_enough(made(ops, own=False), made(ops))
    # Who was escalated to doesn't count for those whom a rule demands.
    fixed = Quorum(asked=("ops",), fixed=True)
    assert not is_enough(made(ops), made(fixed))
    assert is_enough(made(fixed), made(ops))


CONTENTS = st.dictionaries(st.sampled_from("pq"), st.sampled_from(["", "1", "2"]), max_size=2)


@given(CONTENTS, CONTENTS, CONTENTS, CONTENTS)
def test_an_approval_of_a_table_never_covers_other_contents(
    new: dict[str, str], old: dict[str, str], now: dict[str, str], held: dict[str, str]
) -> None:
    """Neither other partitions, nor the same ones in place of others."""
    place = ["parquet", "out", "prod"]
    approved = asked(ReviewOutcome.APPROVED, subject=table_subject("delay", place, new, old))
    about = proposal(table_subject("delay", place, now, held))
    found = verdict(terms=tm.review(), standing=approved, about=about)
    assert found.allowed == ((now, held) == (new, old))


FACTS = st.fixed_dictionaries(
    {},
    optional={
        "owner": st.sampled_from(["", "ops", None, 3]),
        "first_delivery": st.sampled_from([True, False, None, "yes"]),
        "prediction_shift": st.sampled_from([0.0, 0.05, 0.5, None, float("nan"), "much"]),
        "stale": st.sampled_from([True, False, None]),
    },
)
WHEN = st.sampled_from(
    ["owner == ''", "first_delivery", "prediction_shift > 0.1", "stale", "1 / prediction_shift > 9",
     "stale or prediction_shift > 0.4", "True"]
)  # fmt: skip
RULES = st.lists(
    st.builds(rule, WHEN, st.sampled_from(["deny", "review", "warn"]), people=st.integers(1, 2)),
    max_size=3,
).map(lambda found: [replace_id(each, f"r{n}") for n, each in enumerate(found)])
TERMS = st.none() | st.builds(
    lambda when, people: tm.review(when=when, people=people),
    st.just("") | WHEN | st.just("no_such_fact"),
    st.integers(1, 2),
)
STANDING = st.none() | st.builds(
    lambda outcome, subject, people: asked(
        outcome, subject=subject, quorums=(Quorum(people=people),)
    ),
    st.none() | st.sampled_from(ReviewOutcome),
    st.sampled_from(["s", "other"]),
    st.integers(1, 2),
)
WAIVERS = st.lists(
    st.builds(
        lambda rule, scope, expires: Waiver(
            id="w", rule=rule, scope=scope, reason="x", actor="ana", at=NOW - 9, expires=expires
        ),
        st.sampled_from(["r0", "r1"]),
        st.sampled_from(["delay", "other", "*"]),
        st.sampled_from([NOW - 1, NOW + 1]),
    ),
    max_size=2,
)


def replace_id(given: PolicyRule, id: str) -> PolicyRule:
    return rule(given.when, given.effect, id, people=given.people)


@given(RULES, TERMS, FACTS, STANDING, WAIVERS, st.booleans())
def test_nothing_goes_on_that_was_neither_allowed_nor_approved(
    rules: list[PolicyRule],
    terms: ReviewTerms | None,
    facts: dict[str, Any],
    known: Standing | None,
    waivers: list[Waiver],
    again: bool,
) -> None:
    change = ReviewSubject(kind=DELIVERY, name="delay", subject="s", replaces="a1")
    about = Proposal(change=change, title="delay", facts=facts)
    standing = replace(known or Standing(), waivers=waivers)
    found = verdict(rules, terms, standing, about=about, again=again)
    # The decision that is recorded is the one that the recorded facts lead to once more.
    [decision] = [e.decision for e in found.events if isinstance(e, PolicyDecided)]
    assert decided_again(rule_set(rules), decision, waivers).outcome is decision.outcome
    if not found.allowed:
        return
    assert decision.outcome is not PolicyOutcome.DENY
    approved = [
        state.review.people
        for state in standing.reviews.values()
        if state.outcome is ReviewOutcome.APPROVED and state.review.subject == "s"
    ]
    if decision.outcome is PolicyOutcome.REVIEW:
        needed = max(
            hit.people for hit in decision.hits if hit.effect == "review" and not hit.waiver
        )
        assert max(approved, default=0) >= needed
    if terms is not None and not terms.when:
        assert max(approved, default=0) >= terms.people


def decided_again(
    rules: RuleSet, decision: PolicyDecision, waivers: list[Waiver]
) -> PolicyDecision:
    return decide(
        rules, decision.kind, decision.facts, subject=decision.subject, name=decision.name,
        waivers=waivers, now=decision.at, id="again",
    )  # fmt: skip
