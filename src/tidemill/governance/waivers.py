"""Waivers of rules, from the events of the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import EnvironmentDropped, RecordedEvent, RunEnded, RunStarted
from tidemill.ledger.governance_events import PolicyDecided, Waived, WaiverEnded
from tidemill.ledger.policy import Waiver

# What `waiver_states` reads; runs and decisions show how late it was already.
WAIVER_EVENTS = tuple(
    kind.__name__
    for kind in (Waived, WaiverEnded, EnvironmentDropped, PolicyDecided, RunStarted, RunEnded)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverState:
    """A waiver, the latest time that was seen since it began, and when and by whom it was ended."""

    waiver: Waiver
    seen: float
    ended: float | None = None
    ended_by: str = ""
    reason: str = ""

    @property
    def has_expired(self) -> bool:
        """Whether its time is over; it stays over when the clock is set back."""
        return self.seen >= self.waiver.expires

    @property
    def in_force(self) -> bool:
        """Whether it lifts its rule."""
        return self.ended is None and not self.has_expired


def waiver_states(
    events: Iterable[RecordedEvent], environment: str, now: float
) -> tuple[WaiverState, ...]:
    """All waivers of an environment, oldest first, after these events.

    The time is the later one of `now` and those of the events since a waiver began: a waiver that expired
    isn't revived by a clock that goes back. Waivers end with their environment.
    """
    found: dict[str, WaiverState] = {}
    times: list[float] = []
    began: dict[str, int] = {}
    for fact in events:
        times.append(fact.at)
        event = fact.event
        if getattr(event, "environment", None) != environment:
            continue
        if isinstance(event, Waived) and event.waiver.id not in found:
            # An id that is there already belongs to its first waiver.
            found[event.waiver.id] = WaiverState(waiver=event.waiver, seen=fact.at)
            began[event.waiver.id] = len(times) - 1
        elif isinstance(event, WaiverEnded) and event.waiver in found:
            found[event.waiver] = _ended(found[event.waiver], event, fact.at)
        elif isinstance(event, EnvironmentDropped):
            found.clear()
    # From each event on, the latest time.
    latest = [*accumulate(reversed([*times, now]), max)][::-1]
    return tuple(replace(state, seen=latest[began[id]]) for id, state in found.items())


def waivers_in_force(
    events: Iterable[RecordedEvent], environment: str, now: float
) -> tuple[Waiver, ...]:
    """The waivers of an environment that lift their rules now; see `waiver_states`."""
    states = waiver_states(events, environment, now)
    return tuple(state.waiver for state in states if state.in_force)


def _ended(state: WaiverState, event: WaiverEnded, at: float) -> WaiverState:
    if state.ended is not None:
        return state
    return replace(state, ended=at, ended_by=event.actor, reason=event.reason)
