"""A ledger whose appended events are also passed to a function, as they can be read from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tidemill.core.redaction import Redact
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter
from tidemill.ledger.redacted import redacted_event
from tidemill.ports.ledger import Guard, Lease, Ledger, Notify, State


class FollowedLedger:
    """Appends to `ledger`, and then calls `notify` with each event, in their order."""

    def __init__(self, ledger: Ledger, notify: Notify, redact: Redact) -> None:
        self._ledger = ledger
        self._notify = notify
        self._redact = redact
        # Several threads append.
        self._lock = threading.Lock()

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        with self._lock:
            last = self._ledger.append(events, now=now, guard=guard)
            for seq, event in enumerate(events, last - len(events) + 1):
                shown = redacted_event(event, self._redact)
                self._notify(RecordedEvent(seq=seq, at=now, event=shown))
            return last

    def acquire(
        self,
        name: str,
        holder: Mapping[str, str],
        *,
        now: float,
        ttl: float,
        dead: Callable[[Mapping[str, str]], bool],
    ) -> Lease:
        return self._ledger.acquire(name, holder, now=now, ttl=ttl, dead=dead)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        return self._ledger.renew(lease, now=now, ttl=ttl)

    def release(self, lease: Lease) -> None:
        self._ledger.release(lease)

    def state(self, environment: str, *, whole: bool = False) -> State:
        return self._ledger.state(environment, whole=whole)

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        return self._ledger.traces(keys)

    def events(
        self,
        *,
        kinds: Collection[str] = (),
        after: int = 0,
        run: str = "",
        stage: str = "",
        where: EventFilter = EVERYTHING,
        newest: bool = False,
        limit: int | None = None,
    ) -> Iterable[RecordedEvent]:
        return self._ledger.events(
            kinds=kinds,
            after=after,
            run=run,
            stage=stage,
            where=where,
            newest=newest,
            limit=limit,
        )

    def close(self) -> None:
        self._ledger.close()
