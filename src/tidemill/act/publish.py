"""Make what steps gave durable, in their order, while the next step is already being computed.

One thread stores objects and appends events. Whatever waits is taken together: one fsynced commit
for all of it. A step counts as done when its commit is; after a crash, exactly those are not redone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidemill.act.deliver import carry_out
from tidemill.act.tools import Tools
from tidemill.domain.event import EffectQueued, Event, Published, Removed
from tidemill.ports import Guard, Lease

# Small enough that an interrupt has to wait for little, large enough to never stop the computing.
_WAITING = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """The objects of one step, the events that bind them, and the claimed key that is free after."""

    events: tuple[Event, ...]
    objects: tuple[tuple[bytes, str], ...] = ()
    claim: str = ""


class Publisher:
    """Publishes parcels under a lease, one after the other; the first failure ends it.

    `give` is called, from the publisher's thread, with the claim of each parcel that is durable. `heads`
    are the versions that the heads have by now.
    """

    def __init__(
        self,
        tools: Tools,
        environment: str,
        lease: Lease,
        heads: Mapping[str, int],
        give: Callable[[str], None],
    ) -> None:
        self._tools = tools
        self._give = give
        self._environment = environment
        self._lease = lease
        self.heads = dict(heads)
        self._queue: queue.Queue[Parcel | None] = queue.Queue(maxsize=_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="tidemill-publisher", daemon=True)
        self._thread.start()

    def send(self, parcel: Parcel) -> None:
        """Hand over a parcel; raises what publishing an earlier one raised."""
        self._raise()
        self._queue.put(parcel)

    def settle(self) -> None:
        """Wait until everything that was sent so far is durable; raises what went wrong."""
        self._queue.join()
        self._raise()

    def close(self) -> None:
        """Wait until everything that was sent is durable; raises what went wrong."""
        self.stop()
        self._raise()

    def stop(self) -> None:
        """Wait until nothing is published any more: all that was sent, or up to what went wrong."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        open_ = True
        while open_:
            parcels, open_ = self._take()
            if self._error is None and parcels:
                try:
                    self._publish(parcels)
                # The main thread raises it: a failure must not vanish with this thread.
                except BaseException as error:  # noqa: BLE001
                    self._error = error
            for _ in parcels:
                self._queue.task_done()

    def _take(self) -> tuple[list[Parcel], bool]:
        parcels: list[Parcel] = []
        item = self._queue.get()
        while True:
            if item is None:
                return parcels, False
            parcels.append(item)
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return parcels, True

    def _publish(self, parcels: Sequence[Parcel]) -> None:
        objects = [item for parcel in parcels for item in parcel.objects]
        if objects:
            self._tools.artifacts.put_all(objects)
        events = [event for parcel in parcels for event in parcel.events]
        touched = {e.stage for e in events if isinstance(e, (Published, Removed))}
        guard = Guard(
            lease=self._lease,
            heads={stage: self.heads.get(stage, 0) for stage in touched},
            present=self._tools.artifacts.missing,
        )
        self._tools.ledger.append(events, now=self._tools.clock(), guard=guard)
        for stage in touched:
            self.heads[stage] = self.heads.get(stage, 0) + 1
        for parcel in parcels:
            if parcel.claim:
                self._give(parcel.claim)
        effects = [event.effect for event in events if isinstance(event, EffectQueued)]
        if effects:
            done = carry_out(self._tools, self._environment, effects)
            self._tools.ledger.append(done, now=self._tools.clock(), guard=Guard(lease=self._lease))
