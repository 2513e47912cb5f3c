"""Publish all output of a run in one transaction, or none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tidemill.delivery.io.outbox import perform_effects
from tidemill.ledger.event import Attempted, Computed, EffectQueued, Event, Published, Removed
from tidemill.ledger.run import Outcome
from tidemill.ports.ledger import Guard, Lease
from tidemill.ports.runtime import Runtime
from tidemill.runs.io.publisher import Publication, Publisher


class AtomicPublisher(Publisher):
    """Stores and records the output of steps, and binds it all at once in `commit`.

    Results are recorded as they are computed, so that no crash and no conflict loses them.
    """

    def __init__(
        self,
        tools: Runtime,
        environment: str,
        lease: Lease,
        heads: Mapping[str, int],
        release: Callable[[str], None],
    ) -> None:
        self._planned = dict(heads)
        self._withheld: list[Event] = []
        super().__init__(tools, environment, lease, heads, release)

    def commit(self) -> None:
        """Bind all output in one transaction; ConflictError when a head moved meanwhile.

        Call it after `close`.
        """
        if not self._withheld:
            return
        ledger, clock = self._tools.ledger, self._tools.clock
        touched = {stage: 0 for stage in self.heads if stage not in self._planned}
        guard = Guard(
            lease=self._lease,
            heads={**self._planned, **touched},
            find_missing=self._tools.artifacts.find_missing,
        )
        ledger.append(self._withheld, now=clock(), guard=guard)
        effects = [event.effect for event in self._withheld if isinstance(event, EffectQueued)]
        if effects:
            done = perform_effects(self._tools, self._environment, effects)
            ledger.append(done, now=clock(), guard=Guard(lease=self._lease))

    def _publish(self, parcels: Sequence[Publication]) -> None:
        objects = [item for parcel in parcels for item in parcel.objects]
        if objects:
            self._tools.artifacts.put_all(objects)
        events = [event for parcel in parcels for event in _results(parcel)]
        if events:
            guard = Guard(lease=self._lease, find_missing=self._tools.artifacts.find_missing)
            self._tools.ledger.append(events, now=self._tools.clock(), guard=guard)
        for parcel in parcels:
            withheld = [event for event in parcel.events if not isinstance(event, Attempted)]
            self._withheld += withheld
            for event in withheld:
                if isinstance(event, (Published, Removed)):
                    self.heads[event.stage] = self._planned.get(event.stage, 0) + 1
            if parcel.claim:
                self._give(parcel.claim)


def _results(parcel: Publication) -> list[Event]:
    """The events of a step that are recorded before anything is bound: its attempt and its result."""
    tried = [event for event in parcel.events if isinstance(event, Attempted)]
    found: list[Event] = [*tried]
    if not any(event.attempt.outcome is Outcome.BOUND for event in tried):
        found += [
            Computed(stage=event.stage, partition=event.partition, binding=event.binding)
            for event in parcel.events
            if isinstance(event, Published)
        ]
    return found
