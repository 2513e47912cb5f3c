"""The verdict on a change: it goes on, waits for people, or is refused."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.ledger.event import Event
from tidemill.ledger.policy import PolicyOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a change goes on, what is to be recorded in the same transaction, and why.

    `warnings` are those of rules that only warn. `review` is the id of the review that it waits for.
    """

    outcome: PolicyOutcome = PolicyOutcome.ALLOW
    events: tuple[Event, ...] = ()
    message: str = ""
    warnings: tuple[str, ...] = ()
    review: str = ""

    @property
    def allowed(self) -> bool:
        return self.outcome is PolicyOutcome.ALLOW

    @property
    def notes(self) -> tuple[str, ...]:
        """The message and the warnings."""
        return (*filter(None, [self.message]), *self.warnings)


ALLOWED = Verdict()
