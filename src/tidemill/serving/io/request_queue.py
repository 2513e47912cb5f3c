"""Begin requests in the turns of an event loop, and refuse those that waited too long for theirs.

What a request does in one turn of the loop makes all others wait, also those that the loop hasn't read. So
only some begin in a turn, and then the loop reads what arrived. Those that wait have no task yet, so that it
costs little to refuse them.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Protocol

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.errors import Unavailable
from tidemill.serving.overload_reply import MESSAGE, RETRY_AFTER_S
from tidemill.serving.standing_queue import StandingQueue
from tidemill.serving.turn_limit import TURN_S, TurnLimit

# What arrives in a shorter turn counts as read at once.
_SHORT_S = TURN_S / 4
# Requests of an endpoint that may go on in threads while others begin: enough to keep all CPUs busy.
_MOST_IN_THREADS = (os.cpu_count() or 1) + 1


class WaitingRequest(Protocol):
    """A request that arrived whole at `arrived`, in seconds of the monotonic clock."""

    endpoint: str
    arrived: float

    def begin(self) -> bool:
        """Begin to answer it; return whether `RequestQueue.end` is called for it."""

    def refuse(self) -> None:
        """Refuse it, because it waited too long."""


@dataclass(slots=True, eq=False)
class _EndpointQueue:
    """What waits for one endpoint; how many requests are being answered, and began in this turn."""

    waiting: StandingQueue[WaitingRequest]
    active: int = 0
    begun: int = 0

    @property
    def is_blocked(self) -> bool:
        """Whether all that may go on in threads do."""
        return self.active - self.begun >= _MOST_IN_THREADS

    def room(self, limit: int) -> int:
        """How many may begin in a turn in which none did yet."""
        return min(limit, _MOST_IN_THREADS - self.active) if self.active else limit


class RequestQueue:
    """Requests to endpoints whose models are called at once; each endpoint gets its share of every turn.

    A request may wait for as long as `allowed` requests take.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._queues: dict[str, _EndpointQueue] = {}
        self._limit = TurnLimit()
        # The requests that wait in all queues, those that began in this turn, and since when it goes on.
        self._waiting = self._begun = 0
        self._turn_at = 0.0
        # Whether the loop, which accepts one connection before it goes on, did so in this turn; and when
        # requests last began that had waited.
        self._accepts = False
        self._taken_at = 0.0
        self._turn_end: asyncio.Handle | None = None
        self._read_before: float | None = None

    @property
    def queued(self) -> int:
        """The number of requests that wait; 1 or more while some are refused."""
        overloaded = sum(queue.waiting.is_overloaded for queue in self._queues.values())
        return max(self._waiting, overloaded)

    def arrival(self) -> float:
        """When bytes that the loop reads now arrived at the earliest: when it read before, if it was busy."""
        return time.monotonic() if self._read_before is None else self._read_before

    def note_connection(self) -> None:
        """Note that a connection was accepted: others may follow, whose requests wait unseen."""
        self._accepts = True
        if self._turn_end is None:
            self._turn_at = time.monotonic()
            self._end_turn_later()

    def add(self, request: WaitingRequest) -> None:
        """Begin a request in this turn or a later one, or refuse it then."""
        queue = self._queues.get(request.endpoint)
        if queue is None:
            queue = self._queues[request.endpoint] = _EndpointQueue(StandingQueue(self._allowed))
        if self._turn_end is None:
            self._turn_at = time.monotonic()
        if (
            self._waiting
            or self._accepts
            or queue.waiting.is_overloaded
            or self._begun >= self._limit.requests
            or queue.is_blocked
        ):
            self._waiting += 1
            queue.waiting.add(request, request.arrived)
            if self._turn_end is None and not queue.is_blocked:
                self._end_turn_later()
        else:
            self._begin(queue, request)
            self._end_turn_later()

    def end(self, endpoint: str) -> None:
        """Note that a request is answered."""
        self._queues[endpoint].active -= 1
        if self._waiting and self._turn_end is None:
            self._turn_at = time.monotonic()
            self._end_turn_later()

    def _begin(self, queue: _EndpointQueue, request: WaitingRequest) -> None:
        if request.begin():
            queue.active += 1
            queue.begun += 1
            self._begun += 1

    def _end_turn_later(self) -> None:
        """End the turn after the requests that began by now."""
        if self._turn_end is not None:
            self._turn_end.cancel()
        self._turn_end = asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        now = time.monotonic()
        took = now - self._turn_at
        self._limit.note(self._begun, took)
        self._begun, self._turn_end = 0, None
        for queue in self._queues.values():
            queue.begun = 0
        # What the loop reads next arrived in this turn, or after it.
        self._read_before = self._turn_at if took >= _SHORT_S else None
        self._turn_at = now
        accepts, self._accepts = self._accepts, False
        if self._waiting and not (accepts and now - self._taken_at < TURN_S):
            self._taken_at = now
            self._take(now)
        if self._begun or self._read_before is not None or self._ready():
            self._end_turn_later()

    def _ready(self) -> list[_EndpointQueue]:
        """The queues that have requests which may begin."""
        if not self._waiting:
            return []
        return [each for each in self._queues.values() if each.waiting and not each.is_blocked]

    def _take(self, now: float) -> None:
        queues = self._ready()
        share = max(1, self._limit.requests // max(1, len(queues)))
        for queue in queues:
            begun, refused = queue.waiting.take(now, queue.room(share))
            self._waiting -= len(begun) + len(refused)
            for request in begun:
                self._begin(queue, request)
            for request in refused:
                request.refuse()


class AwaitedTurn:
    """A request in the queue whose task waits for `begun`."""

    __slots__ = ("arrived", "begun", "endpoint")

    def __init__(self, endpoint: str, arrived: float) -> None:
        self.endpoint, self.arrived = endpoint, arrived
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self) -> bool:
        """Let its task go on."""
        if self.begun.done():
            return False
        self.begun.set_result(None)
        return True

    def refuse(self) -> None:
        """Refuse it."""
        if not self.begun.done():
            self.begun.set_exception(Unavailable(MESSAGE, retry_after=RETRY_AFTER_S))
