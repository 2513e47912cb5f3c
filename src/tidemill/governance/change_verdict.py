"""The verdict on a change: it goes on, waits for people, or is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import Event
from tidemill.ledger.governance_events import ReviewClosed, WaiverEnded
from tidemill.ledger.policy import PolicyOutcome
from tidemill.ledger.review import DECIDED_AGAINST


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a change goes on, what is to be recorded in the same transaction, and why.

    `warnings` are those of rules that only warn. `review` is the id of the review that it waits for. What
    goes on `rests_on` waivers and open reviews, by id: it may not once a person decided against it.
    """

    outcome: PolicyOutcome = PolicyOutcome.ALLOW
    events: tuple[Event, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    review: str = ""
    rests_on: frozenset[str] = frozenset()

    @property
    def allowed(self) -> bool:
        return self.outcome is PolicyOutcome.ALLOW

    @property
    def notes(self) -> tuple[str, ...]:
        """The message and the warnings."""
        return (*filter(None, [self.message]), *self.warnings)


ALLOWED = Verdict()


def overruling(rests_on: Collection[str], events: Iterable[Event]) -> str:
    """Say which review or waiver was ended against the change that rests on it; "" if none was."""
    for event in events:
        if isinstance(event, ReviewClosed) and event.review in rests_on:
            if event.outcome in DECIDED_AGAINST:
                return f"review {event.review} ended meanwhile: {event.outcome}"
        elif isinstance(event, WaiverEnded) and event.waiver in rests_on:
            return f"waiver {event.waiver} was ended meanwhile, and its rule counts again"
    return ""
