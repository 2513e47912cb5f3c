"""Reviews that are read one by one are what all events together say of them."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.io.recorded_reviews import (
    asks_about,
    newest_reviews,
    open_reviews,
    reviews_named,
    reviews_of,
    unsettled_reviews,
    used_reviews,
)
from tidemill.governance.review_state import REVIEW_EVENTS, fold_reviews
from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped, Event
from tidemill.ledger.governance_events import (
    NoticeSent,
    PolicyDecided,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    Voted,
)
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Choice, ReviewOutcome
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import policy_decision, review, vote

IDS = st.sampled_from(["r1", "r10", "r2"])
PLACES = st.sampled_from(["prod", "dev"])
PAGE = f"{'0' * 64}.json"
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(ReviewOpened, environment=PLACES, review=st.builds(review, IDS, subject=IDS)),
    st.builds(
        Voted,
        environment=PLACES,
        review=IDS,
        vote=st.builds(vote, st.sampled_from(["ben", "eve"]), st.sampled_from(Choice)),
    ),
    st.builds(ReviewExtended, environment=PLACES, review=IDS, expires=st.just(900.0)),
    st.builds(ReviewClosed, environment=PLACES, review=IDS, outcome=st.sampled_from(ReviewOutcome)),
    st.builds(ReviewPageStored, environment=PLACES, review=IDS, page=st.just(PAGE)),
    st.builds(NoticeSent, environment=PLACES, review=IDS, about=st.just(1), channel=st.just("x")),
    st.builds(PolicyDecided, environment=PLACES, decision=st.builds(policy_decision), review=IDS),
    st.just(EnvironmentDropped(environment="dev")),
    st.just(EnvironmentCreated(environment="dev")),
)


def with_ids_of_their_own(events: Sequence[Event], place: str) -> list[Event]:
    """The events of an environment, without a second review of an id: ids are random."""
    own, opened = [], set[str]()
    for event in events:
        if getattr(event, "environment", "") != place:
            continue
        if isinstance(event, ReviewOpened):
            if event.review.id in opened:
                continue
            opened.add(event.review.id)
        own.append(event)
    return own


def recorded(events: Sequence[Event]) -> MemoryLedger:
    ledger = MemoryLedger()
    exists = {"prod"}
    for event in events:
        name = getattr(event, "environment", "")
        drops, makes = isinstance(event, EnvironmentDropped), isinstance(event, EnvironmentCreated)
        if (drops and name not in exists) or (makes and name in exists):
            continue
        (exists.discard if drops else exists.add)(name)
        ledger.append([event], now=1.0)
    return ledger


@given(st.lists(EVENTS, max_size=25))
def test_they_are_what_a_fold_of_everything_says(events: list[Event]) -> None:
    ledger = recorded(events)
    for place in ("prod", "dev"):
        every = fold_reviews(ledger.events(kinds=REVIEW_EVENTS), place)

        def those(holds: Any, known: Any = every) -> Any:
            return {id: state for id, state in known.items() if holds(state)}

        found = reviews_of(ledger, place, SubjectKind.DELIVERY, "delay_model")
        assert list(found.items()) == list(every.items())
        assert reviews_of(ledger, place, SubjectKind.TABLE, "delay_model") == {}
        assert reviews_named(ledger, place, "r1") == those(lambda s: s.review.id.startswith("r1"))
        assert reviews_named(ledger, place, "r2") == those(lambda s: s.review.id == "r2")
        assert asks_about(ledger, place, SubjectKind.DELIVERY) == bool(every)
        assert list(newest_reviews(ledger, place).items()) == list(every.items())
        assert newest_reviews(ledger, place, 99) == every
        used = {
            fact.event.review
            for fact in ledger.events(kinds=("PolicyDecided",))
            if isinstance(fact.event, PolicyDecided) and fact.event.environment == place
        }
        assert used_reviews(ledger, place, every) == used & {*every}


@given(st.lists(EVENTS, max_size=25))
def test_open_reviews_are_those_of_a_fold_that_are_open(events: list[Event]) -> None:
    ledger = recorded(with_ids_of_their_own(events, "dev"))
    every = fold_reviews(ledger.events(kinds=REVIEW_EVENTS), "dev")
    expected = {id: state for id, state in every.items() if state.is_open}
    assert open_reviews(ledger, "dev") == unsettled_reviews(ledger, "dev", 2.0) == expected
    assert unsettled_reviews(ledger, "dev", 0.0) == every
    assert expected.items() <= newest_reviews(ledger, "dev", 1).items() <= every.items()


def test_what_was_used_later_does_not_count_before() -> None:
    ledger = recorded(
        [
            ReviewOpened(environment="prod", review=review("r1")),
            PolicyDecided(environment="prod", decision=policy_decision(), review="r1"),
        ]
    )
    found = open_reviews(ledger, "prod")
    assert used_reviews(ledger, "prod", found) == {"r1"}
    assert used_reviews(ledger, "prod", found, before=2) == frozenset()


def test_the_open_ones_and_the_last_of_the_others() -> None:
    ledger = recorded(
        [ReviewOpened(environment="prod", review=review(id)) for id in ("r1", "r2", "r3", "r4")]
        + [
            ReviewClosed(environment="prod", review=id, outcome=ReviewOutcome.APPROVED)
            for id in ("r2", "r3", "r4")
        ]
    )
    assert list(newest_reviews(ledger, "prod", 2)) == ["r1", "r3", "r4"]
