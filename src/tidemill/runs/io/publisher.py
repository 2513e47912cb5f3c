"""Publish the output of steps, in their order, while the next step is already being computed.

One thread stores objects and appends events. It lets a few steps gather, and publishes them in one fsynced
commit. A step is done when its commit is; after a crash, exactly those steps are not redone. `settle` and
`close` don't wait for more steps to gather. AtomicPublisher binds the output of all steps at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload
from tidemill.delivery.io.outbox import Undelivered, perform_effects
from tidemill.governance.io.upheld_append import append_upheld
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    Attempted,
    Computed,
    Delivered,
    EffectQueued,
    Event,
    Published,
    Removed,
)
from tidemill.ledger.governance_events import RulesLoaded
from tidemill.ledger.run import Outcome
from tidemill.ports.ledger import Guard, Lease
from tidemill.ports.runtime import Runtime

# Small enough that an interrupt waits for little, large enough that computing never stops.
_MOST_WAITING = 32
# How long a step may wait for others: a commit costs about the same for one step as for ten.
_PAUSE_S = 0.05
# Events that bind nothing: the rules are named by decisions that may be recorded before.
_AT_ONCE = (Attempted, Computed, RulesLoaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The objects of one step, the events that bind them, and the claimed key to give back afterwards.

    `live` are the artifacts that were live for the step, by model; it isn't published if another is live.
    What rules or people keep from going on binds nothing: its events say why (`kept`). What goes on may
    rest on waivers and open reviews, by id, that nobody may have decided against since.
    """

    events: tuple[Event, ...]
    objects: tuple[tuple[Payload, str], ...] = ()
    claim: str = ""
    live: Mapping[str, str] = field(default_factory=dict)
    kept: bool = False
    rests_on: frozenset[str] = frozenset()


def live_before(publications: Sequence[Publication]) -> dict[str, str]:
    """What must be live before some publications in one transaction, some of which may move it."""
    found: dict[str, str] = {}
    moved: set[str] = set()
    for publication in publications:
        for name, artifact in publication.live.items():
            if name not in moved:
                found.setdefault(name, artifact)
        moved.update(e.delivery.name for e in publication.events if isinstance(e, Delivered))
    return found


class Publisher:
    """Publishes the output of steps under a lease, in order; the first failure ends it.

    `release` is called, from the publisher's thread, with the claim of each step that is durable. `heads` are
    the current versions of the heads. `undelivered` are the effects that their sinks couldn't carry out, and
    `error` is the failure that ended it.
    """

    def __init__(
        self,
        tools: Runtime,
        environment: str,
        lease: Lease,
        heads: Mapping[str, int],
        release: Callable[[str], None],
    ) -> None:
        self._tools = tools
        self._give = release
        self._environment = environment
        self._lease = lease
        self.heads = dict(heads)
        self.undelivered: list[Undelivered] = []
        # Effects on sinks with transactions are carried out together, after everything is published.
        self._later: list[Effect] = []
        # All that follows is guarded by the lock; `_done` counts steps that are durable, or given up.
        self._lock = threading.Lock()
        self._more, self._less = threading.Condition(self._lock), threading.Condition(self._lock)
        self._waiting: list[Publication] = []
        self._sent = self._wanted = self._done = 0
        self._ended = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tidemill-publisher", daemon=True)
        self._thread.start()

    def send(self, publication: Publication) -> None:
        """Publish the output of a step soon; raise the error of an earlier one."""
        self._raise()
        with self._lock:
            self._less.wait_for(lambda: len(self._waiting) < _MOST_WAITING)
            self._waiting.append(publication)
            self._sent += 1
            # The first begins the pause and the last ends it; waking the other thread isn't free.
            if len(self._waiting) in (1, _MOST_WAITING):
                self._more.notify()

    def settle(self) -> None:
        """Wait until everything that was sent is durable; raise the error if it isn't."""
        with self._lock:
            self._wanted = wanted = self._sent
            self._more.notify()
            self._less.wait_for(lambda: self._done >= wanted)
        self._raise()

    def close(self) -> None:
        """Publish everything that was sent, and end the thread; raise the error if that fails."""
        self.stop()
        self._raise()
        self._perform(self._later)
        self._later = []

    def stop(self) -> None:
        """End the thread, after publishing everything that was sent or up to the first error."""
        with self._lock:
            self._ended = True
            self._more.notify()
        self._thread.join()

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        open_ = True
        while open_:
            parcels, open_ = self._take()
            if self.error is None and parcels:
                try:
                    self._publish(parcels)
                # The main thread raises it: an error must not vanish with this thread.
                except BaseException as error:  # noqa: BLE001
                    self.error = error
            with self._lock:
                self._done += len(parcels)
                self._less.notify_all()
            # While it waits for more, it must not keep a large model in memory.
            del parcels

    def _take(self) -> tuple[list[Publication], bool]:
        """Take what gathered; return whether more may come."""
        with self._lock:
            self._more.wait_for(lambda: self._waiting or self._ended)
            self._more.wait_for(self._is_urgent, _PAUSE_S)
            parcels, self._waiting = self._waiting, []
            self._less.notify_all()
            return parcels, not self._ended

    def _is_urgent(self) -> bool:
        return self._ended or self._wanted > self._done or len(self._waiting) == _MOST_WAITING

    def _publish(self, parcels: Sequence[Publication]) -> None:
        objects = [item for parcel in parcels for item in parcel.objects]
        if objects:
            self._tools.artifacts.put_all(objects)
        events = [event for parcel in parcels for event in parcel.events]
        touched = {e.stage for e in events if isinstance(e, (Published, Removed))}
        guard = Guard(
            lease=self._lease,
            heads={stage: self.heads.get(stage, 0) for stage in touched},
            live=live_before(parcels),
            find_missing=self._tools.artifacts.find_missing,
        )
        self._append(events, guard, parcels)
        for stage in touched:
            self.heads[stage] = self.heads.get(stage, 0) + 1
        for parcel in parcels:
            if parcel.claim:
                self._give(parcel.claim)
        effects = [event.effect for event in events if isinstance(event, EffectQueued)]
        sinks = self._tools.sinks
        self._later += [effect for effect in effects if not sinks[effect.format].batch]
        self._perform([effect for effect in effects if sinks[effect.format].batch])

    def _append(
        self, events: Sequence[Event], guard: Guard, parcels: Sequence[Publication]
    ) -> None:
        append_upheld(
            self._tools.ledger,
            self._environment,
            events,
            now=self._tools.clock(),
            guard=guard,
            rests_on={id for parcel in parcels for id in parcel.rests_on},
        )

    def _perform(self, effects: Sequence[Effect]) -> None:
        if effects:
            self.undelivered += perform_effects(
                self._tools, self._environment, effects, Guard(lease=self._lease)
            )


class AtomicPublisher(Publisher):
    """Stores and records the output of steps, and binds it all at once in `commit`, after what comes `first`.

    Results, and what people are asked, are recorded as they come, so that nothing that happens later loses
    them.
    """

    def __init__(
        self,
        tools: Runtime,
        environment: str,
        lease: Lease,
        heads: Mapping[str, int],
        release: Callable[[str], None],
        first: Publication | None = None,
    ) -> None:
        self._planned = dict(heads)
        self._withheld: list[Publication] = []
        super().__init__(tools, environment, lease, heads, release)
        if first is not None:
            self.send(first)

    def commit(self) -> None:
        """Bind all output in one transaction; ConflictError when a head moved meanwhile.

        GateError if a person decided against any of it. Call it after `close`.
        """
        if not self._withheld:
            return
        touched = {stage: 0 for stage in self.heads if stage not in self._planned}
        guard = Guard(
            lease=self._lease,
            heads={**self._planned, **touched},
            live=live_before(self._withheld),
            find_missing=self._tools.artifacts.find_missing,
        )
        withheld = [event for parcel in self._withheld for event in parcel.events]
        self._append(withheld, guard, self._withheld)
        self._perform([event.effect for event in withheld if isinstance(event, EffectQueued)])

    def _publish(self, parcels: Sequence[Publication]) -> None:
        objects = [item for parcel in parcels for item in parcel.objects]
        if objects:
            self._tools.artifacts.put_all(objects)
        events = [event for parcel in parcels for event in _results(parcel)]
        if events:
            guard = Guard(lease=self._lease, find_missing=self._tools.artifacts.find_missing)
            self._tools.ledger.append(events, now=self._tools.clock(), guard=guard)
        for parcel in parcels:
            withheld = () if parcel.kept else tuple(
                event for event in parcel.events if not isinstance(event, _AT_ONCE)
            )  # fmt: skip
            if withheld:
                self._withheld.append(replace(parcel, events=withheld))
            for event in withheld:
                if isinstance(event, (Published, Removed)):
                    self.heads[event.stage] = self._planned.get(event.stage, 0) + 1
            if parcel.claim:
                self._give(parcel.claim)


def _results(parcel: Publication) -> list[Event]:
    """The events of a step that are recorded before anything is bound: its attempt and its result."""
    if parcel.kept:
        return [*parcel.events]
    found: list[Event] = [event for event in parcel.events if isinstance(event, _AT_ONCE)]
    tried = [event for event in found if isinstance(event, Attempted)]
    if not any(event.attempt.outcome is Outcome.BOUND for event in tried):
        found += [
            Computed(stage=event.stage, partition=event.partition, binding=event.binding)
            for event in parcel.events
            if isinstance(event, Published)
        ]
    return found
