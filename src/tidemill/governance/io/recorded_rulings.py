"""Read from the ledger what rules and people decided on a change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.provenance import AttestedReview
from tidemill.ledger.governance_events import PolicyDecided, ReviewClosed, ReviewOpened, Voted
from tidemill.ledger.policy import PolicyDecision, SubjectKind
from tidemill.ports.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRulings:
    """The decisions and reviews of an environment; `ours` tells whether an event is in its history."""

    ledger: Ledger
    ours: Callable[[str, int], bool]

    def decisions(
        self,
        kind: SubjectKind,
        name: str,
        subjects: Collection[str] = (),
        runs: Collection[str] = (),
    ) -> Iterator[PolicyDecision]:
        """The decisions of the rules on some subjects, or in some runs."""
        for fact in self.ledger.events(kinds=("PolicyDecided",)):
            event = fact.event
            if isinstance(event, PolicyDecided) and self.ours(event.environment, fact.seq):
                found = event.decision
                if (found.kind, found.name) != (kind, name):
                    continue
                if found.subject in subjects or found.run in runs:
                    yield found

    def reviews(
        self, kind: SubjectKind, name: str, subjects: Collection[str]
    ) -> list[AttestedReview]:
        """The reviews of some subjects, with their votes and outcomes."""
        found: dict[str, AttestedReview] = {}
        for fact in self.ledger.events(kinds=("ReviewOpened", "Voted", "ReviewClosed")):
            event = fact.event
            if isinstance(event, ReviewOpened) and self.ours(event.environment, fact.seq):
                review = event.review
                if (review.kind, review.name) == (kind, name) and review.subject in subjects:
                    found[review.id] = AttestedReview(review=review)
            elif isinstance(event, Voted) and event.review in found:
                known = found[event.review]
                found[event.review] = replace(known, votes=(*known.votes, event.vote))
            elif isinstance(event, ReviewClosed) and event.review in found:
                found[event.review] = replace(found[event.review], outcome=str(event.outcome))
        return list(found.values())
