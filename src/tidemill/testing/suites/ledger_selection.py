"""Conformance tests for ledgers: which events are read, and in which order."""

from __future__ import annotations

from typing import Any

from tidemill.ledger.event import Event, RunEnded
from tidemill.ledger.event_filter import EVERYTHING, EventFilter, about
from tidemill.ledger.event_subjects import changed_subject, review_subject, run_subject
from tidemill.ledger.governance_events import (
    PolicyDecided,
    ReviewClosed,
    ReviewOpened,
    TokenRevoked,
    Voted,
)
from tidemill.ledger.review import ReviewOutcome
from tidemill.ledger.run import Status
from tidemill.ledger.schedule_events import Ticked
from tidemill.ports.ledger import Ledger
from tidemill.testing import records as samples
from tidemill.testing.records import (
    PROD,
    attempted_event,
    published_event,
    run_started_event,
    token_created_event,
)


def _seqs(ledger: Ledger, where: EventFilter = EVERYTHING, **by: Any) -> list[int]:
    return [fact.seq for fact in ledger.events(where=where, **by)]


class SelectionSuite:
    """Events are found by their place and by what they are about, the oldest or the newest first."""

    def test_the_newest_come_first(self, ledger: Ledger) -> None:
        ticks: list[Event] = [Ticked(schedule="s", tick=str(number)) for number in range(1203)]
        ledger.append(ticks, now=1.0)
        ledger.append([published_event()], now=1.0)
        assert _seqs(ledger, newest=True) == [*range(1204, 0, -1)]
        assert _seqs(ledger, newest=True, kinds=("Ticked", "Published"), limit=2) == [1204, 1203]
        assert _seqs(ledger, newest=True, kinds=("Ticked",), after=1201) == [1203, 1202]
        page = EventFilter(before=700)
        assert _seqs(ledger, page, newest=True, limit=3) == [699, 698, 697]
        assert _seqs(ledger, page, after=690) == [*range(691, 700)]
        assert _seqs(ledger, EventFilter(before=9_999), after=1203) == [1204]

    def test_the_history_of_a_partition(self, ledger: Ledger) -> None:
        days = ["2013-03-07", "2013-03-08", "2013-03-07"]
        ledger.append([published_event(day) for day in days], now=1.0)
        ledger.append([published_event(stage="labels"), attempted_event()], now=2.0)
        here = EventFilter(partition="2013-03-07")
        assert _seqs(ledger, here, stage="features", kinds=("Published",)) == [1, 3]
        assert _seqs(ledger, here, stage="features", newest=True) == [5, 3, 1]
        assert _seqs(ledger, here) == [1, 3, 4, 5]
        assert _seqs(ledger, here, run="run-1", kinds=("Attempted",)) == [5]

    def test_events_about_a_subject(self, ledger: Ledger) -> None:
        ledger.append(
            [
                ReviewOpened(environment=PROD, review=samples.review("r1")),
                ReviewOpened(environment=PROD, review=samples.review("r10")),
                Voted(environment=PROD, review="r1", vote=samples.vote()),
                PolicyDecided(environment=PROD, decision=samples.policy_decision("p1")),
                Voted(environment="dev", review="r1", vote=samples.vote()),
            ],
            now=1.0,
        )
        assert _seqs(ledger, about(review_subject("r1"))) == [1, 3, 5]
        assert _seqs(ledger, about(review_subject("r1")), kinds=("Voted",), newest=True) == [5, 3]
        assert _seqs(ledger, EventFilter(about_prefix=review_subject("r1"))) == [1, 2, 3, 5]
        assert _seqs(ledger, EventFilter(about_prefix=review_subject("r10"))) == [2]
        assert _seqs(ledger, about(changed_subject("delivery", "delay_model"))) == [1, 2, 4]
        # An event with several subjects is one event.
        assert _seqs(ledger, EventFilter(about_prefix=" ")) == []
        assert _seqs(ledger, EventFilter(about_prefix="change ")) == [1, 2, 4]
        assert _seqs(ledger, about(review_subject("r"))) == []
        assert _seqs(ledger, about("nobody's \ud800")) == []

    def test_what_ended_is_not_open(self, ledger: Ledger) -> None:
        token = samples.access_token()
        ledger.append(
            [
                ReviewOpened(environment=PROD, review=samples.review("r1")),
                ReviewOpened(environment=PROD, review=samples.review("r2")),
                Voted(environment=PROD, review="r2", vote=samples.vote()),
                run_started_event("run-1"),
                token_created_event(token),
            ],
            now=1.0,
        )
        assert _seqs(ledger, EventFilter(open_only=True)) == [1, 2, 3, 4, 5]
        approved = ReviewOutcome.APPROVED
        ledger.append(
            [
                ReviewClosed(environment=PROD, review="r1", outcome=approved),
                RunEnded(run="run-1", status=Status.OK),
                TokenRevoked(environment=PROD, token=token.id, actor="ana"),
            ],
            now=2.0,
        )
        open_reviews = EventFilter(about_prefix="review ", open_only=True)
        assert _seqs(ledger, open_reviews) == [2, 3]
        assert _seqs(ledger, open_reviews, newest=True, kinds=("ReviewOpened",)) == [2]
        assert _seqs(ledger, EventFilter(about=run_subject("run-1"), open_only=True)) == []
        assert _seqs(ledger, EventFilter(open_only=True)) == [2, 3]
        ledger.append([ReviewOpened(environment=PROD, review=samples.review("r1"))], now=3.0)
        assert _seqs(ledger, open_reviews, kinds=("ReviewOpened", "ReviewClosed")) == [1, 2, 6, 9]
