"""Read the work that waits from the ledger."""

from __future__ import annotations

from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ports.ledger import Ledger


def recorded_works(ledger: Ledger, environment: str) -> tuple[DeferredWork, ...]:
    """The work of an environment that waits, as recorded last."""
    return last_deferral(ledger, environment).works


def last_deferral(ledger: Ledger, environment: str) -> WorkDeferred:
    """The last record of the work of an environment that waits; one without work if there is none."""
    for fact in ledger.events(kinds=(WorkDeferred.__name__,), newest=True):
        if isinstance(fact.event, WorkDeferred) and fact.event.environment == environment:
            return fact.event
    return WorkDeferred(environment=environment)
