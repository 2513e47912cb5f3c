"""Read the waivers that are in force from the ledger."""

from __future__ import annotations

from tidemill.governance.waivers import (
    WAIVER_EVENTS,
    WaiverState,
    waiver_states,
    waivers_in_force,
)
from tidemill.ledger.event import EnvironmentDropped, RecordedEvent
from tidemill.ledger.governance_events import Waived, WaiverEnded
from tidemill.ledger.policy import Waiver
from tidemill.ports.ledger import Ledger


def load_waivers(ledger: Ledger, environment: str, now: float) -> tuple[Waiver, ...]:
    """The waivers of an environment that lift their rules now.

    Events that only show how late it was are read from the first waiver on that could still be in force.
    """
    since = _first_unexpired(ledger, now)
    if since is None:
        return ()
    return waivers_in_force(ledger.events(kinds=WAIVER_EVENTS, after=since - 1), environment, now)


def load_every_waiver(ledger: Ledger, environment: str, now: float) -> tuple[WaiverState, ...]:
    """All waivers of an environment, oldest first, also those that expired or were ended.

    How late it was only matters to those that haven't expired by the clock.
    """
    kinds = (Waived.__name__, WaiverEnded.__name__, EnvironmentDropped.__name__)
    facts: dict[int, RecordedEvent] = {fact.seq: fact for fact in ledger.events(kinds=kinds)}
    since = _first_unexpired(ledger, now)
    if since is not None:
        facts |= {fact.seq: fact for fact in ledger.events(kinds=WAIVER_EVENTS, after=since - 1)}
    return waiver_states([facts[seq] for seq in sorted(facts)], environment, now)


def _first_unexpired(ledger: Ledger, now: float) -> int | None:
    """The number of the first waiver that hasn't expired by the clock."""
    for fact in ledger.events(kinds=(Waived.__name__,)):
        if isinstance(fact.event, Waived) and fact.event.waiver.expires > now:
            return fact.seq
    return None
