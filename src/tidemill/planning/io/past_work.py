"""Read from a ledger what earlier steps and runs used."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.ledger.event import Attempted, RunEnded
from tidemill.ledger.run import Attempt, Receipt
from tidemill.planning.cost_estimate import PastWork
from tidemill.ports.ledger import Ledger

_ATTEMPTS, _RECEIPTS = 20, 20


def read_past_work(ledger: Ledger, stages: Iterable[str]) -> PastWork:
    """The newest attempts at the steps of each stage, and the newest receipts of runs that had steps."""
    return PastWork(
        attempts={name: _attempts(ledger, name) for name in {*stages}},
        receipts=_receipts(ledger),
    )


def _attempts(ledger: Ledger, stage: str) -> list[Attempt]:
    facts = ledger.events(kinds=(Attempted.__name__,), stage=stage, newest=True, limit=_ATTEMPTS)
    return [fact.event.attempt for fact in facts if isinstance(fact.event, Attempted)]


def _receipts(ledger: Ledger) -> list[Receipt]:
    facts = ledger.events(kinds=(RunEnded.__name__,), newest=True, limit=_RECEIPTS)
    ends = (fact.event for fact in facts if isinstance(fact.event, RunEnded))
    return [end.receipt for end in ends if end.receipt is not None]
