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

# The others only show how late it was.
_CHANGING = (Waived, WaiverEnded, EnvironmentDropped)


def load_waivers(ledger: Ledger, environment: str, now: float) -> tuple[Waiver, ...]:
    """The waivers of an environment that lift their rules now.

    Events that only show how late it was are read from the first waiver on that could still be in force.
    """
    since = _first_unexpired(ledger, now)
    if since is None:
        return ()
    return waivers_in_force(ledger.events(kinds=WAIVER_EVENTS, after=since - 1), environment, now)


class RecordedWaivers:
    """Reads the waivers of an environment that are in force, each event once."""

    def __init__(self, ledger: Ledger, environment: str) -> None:
        self._ledger, self._environment = ledger, environment
        self._facts: list[RecordedEvent] = []
        self._after: int | None = None
        self._read_at = 0.0

    def in_force(self, now: float) -> tuple[Waiver, ...]:
        """What `load_waivers` returns."""
        if self._after is None or now < self._read_at:
            # A clock that was set back may count waivers that had expired by it.
            last = next((fact.seq for fact in self._ledger.events(newest=True, limit=1)), 0)
            since = _first_unexpired(self._ledger, now)
            self._facts, self._after = [], last if since is None else since - 1
        self._read_at = now
        for fact in self._ledger.events(kinds=WAIVER_EVENTS, after=self._after):
            self._after = fact.seq
            # Of events that only show how late it was, one that was as late makes earlier ones useless.
            while self._facts and _is_outdone(self._facts[-1], fact):
                self._facts.pop()
            self._facts.append(fact)
        return waivers_in_force(self._facts, self._environment, now)


def _is_outdone(earlier: RecordedEvent, later: RecordedEvent) -> bool:
    return not isinstance(earlier.event, _CHANGING) and earlier.at <= later.at


def load_every_waiver(ledger: Ledger, environment: str, now: float) -> tuple[WaiverState, ...]:
    """All waivers of an environment, oldest first, also those that expired or were ended.

    How late it was only matters to those that haven't expired by the clock.
    """
    kinds = tuple(kind.__name__ for kind in _CHANGING)
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
