"""Read the waivers that are in force from the ledger."""

from __future__ import annotations

from tidemill.governance.waivers import WAIVER_EVENTS, waivers_in_force
from tidemill.ledger.governance_events import Waived
from tidemill.ledger.policy import Waiver
from tidemill.ports.ledger import Ledger


def load_waivers(ledger: Ledger, environment: str, now: float) -> tuple[Waiver, ...]:
    """The waivers of an environment that lift their rules now.

    Events that only show how late it was are read from the first waiver on that could still be in force.
    """
    since = next(
        (
            fact.seq
            for fact in ledger.events(kinds=(Waived.__name__,))
            if isinstance(fact.event, Waived) and fact.event.waiver.expires > now
        ),
        None,
    )
    if since is None:
        return ()
    return waivers_in_force(ledger.events(kinds=WAIVER_EVENTS, after=since - 1), environment, now)
