"""Send requests to a server by a plan, and count what becomes of them.

One thread waits for sockets and moments with `select`, whose timeouts are microseconds; an event loop would
wake up to a millisecond late.
"""

from __future__ import annotations

import select
import selectors
import time
from collections import deque
from collections.abc import Sequence
from itertools import cycle

from tidemill.serving.io.load_connection import Address, LoadConnection
from tidemill.serving.load_plan import LoadPlan
from tidemill.serving.load_report import LoadTally

_SECOND = 1_000_000_000
# How often requests are looked at that wait too long, and closed connections are opened again.
_TICK = 50_000_000


class LoadGenerator:
    """Sends `requests`, whole HTTP requests as bytes, in turns; `run` it once."""

    def __init__(self, address: Address, requests: Sequence[bytes], plan: LoadPlan) -> None:
        self._plan = plan
        self._requests = cycle(requests)
        self._selector = selectors.DefaultSelector()
        self._connections = [
            LoadConnection(address, self._selector, self) for _ in range(plan.most_connections)
        ]
        self._idle: list[LoadConnection] = []
        self._waiting: deque[int] = deque()
        self._next = 0
        self._start = self._ticked = 0
        self._is_started = False
        self.tally = LoadTally()
        self.seconds = self.cpu_s = 0.0

    def run(self) -> LoadTally:
        """Open all connections, send until the plan ends, and wait for the last replies."""
        try:
            self._open_all()
            self._is_started = True
            self._start, cpu = time.monotonic_ns(), time.thread_time()
            while self._go_on():
                self._wait()
            self.seconds, self.cpu_s = self._now() / _SECOND, time.thread_time() - cpu
        finally:
            for connection in self._connections:
                connection.close()
            self._selector.close()
        return self.tally

    def opened(self, connection: LoadConnection) -> None:
        """A connection may send."""
        self._use(connection)

    def replied(self, connection: LoadConnection, status: int) -> None:
        """A request was answered."""
        now = self._now()
        self.tally.answer(connection.due, connection.sent, now, status)
        if connection.is_closed:
            connection.open(now)
        else:
            self._use(connection)

    def lost(self, connection: LoadConnection, reason: str, *, has_request: bool) -> None:
        """A connection was closed; a request that it had sent has no reply."""
        if connection in self._idle:
            self._idle.remove(connection)
        now = self._now()
        if has_request:
            self.tally.lose(connection.due, connection.sent, now, reason)
        elif self._is_started and not self._plan.is_open and now < self._plan.end:
            # The caller of a closed loop would have sent one.
            self.tally.lose(connection.opened_at, None, now, reason)

    def _now(self) -> int:
        return time.monotonic_ns() - self._start

    def _open_all(self) -> None:
        self._start = time.monotonic_ns()
        for connection in self._connections:
            connection.open(0)
        end = round(self._plan.timeout * _SECOND)
        while any(not c.is_open and not c.is_closed for c in self._connections):
            if self._now() > end:
                break
            self._poll(0.05)

    def _use(self, connection: LoadConnection) -> None:
        """Have an open connection send the next request, if there is one."""
        now = self._now()
        if not self._is_started or self._plan.is_open:
            if self._waiting:
                connection.send(next(self._requests), self._waiting.popleft(), now)
            else:
                self._idle.append(connection)
        elif now < self._plan.end:
            connection.send(next(self._requests), now, now)
        else:
            self._idle.append(connection)

    def _go_on(self) -> bool:
        """Send what is due; return whether anything is left to do."""
        now = self._now()
        if self._plan.is_open:
            while self._next < self._plan.requests and self._plan.due(self._next) <= now:
                self._waiting.append(self._plan.due(self._next))
                self._next += 1
            while self._waiting and self._idle:
                self._use(self._idle.pop())
        elif self._idle and now < self._plan.end:
            ready, self._idle = self._idle, []
            for connection in ready:
                self._use(connection)
        if now - self._ticked >= _TICK:
            self._ticked = now
            self._give_up(now)
        if self._plan.is_open:
            is_over = self._next >= self._plan.requests and not self._waiting
        else:
            is_over = now >= self._plan.end
        return not is_over or any(connection.is_busy for connection in self._connections)

    def _give_up(self, now: int) -> None:
        """Close connections whose request takes too long, and open those that are closed."""
        oldest = now - round(self._plan.timeout * _SECOND)
        while self._waiting and self._waiting[0] < oldest:
            self.tally.lose(self._waiting.popleft(), None, now, "not sent")
        for connection in self._connections:
            if connection.is_busy and connection.sent < oldest:
                self.tally.lose(connection.due, connection.sent, now, "timeout")
                connection.close()
            if connection.is_closed and now < self._plan.end:
                connection.open(now)

    def _wait(self) -> None:
        now = self._now()
        until = self._ticked + _TICK
        if self._plan.is_open and self._next < self._plan.requests:
            until = min(until, self._plan.due(self._next))
        self._poll(max(0, until - now) / _SECOND)

    def _poll(self, seconds: float) -> None:
        if seconds and hasattr(self._selector, "fileno"):
            select.select([self._selector], [], [], seconds)
            seconds = 0
        for key, events in self._selector.select(seconds):
            key.data.on_ready(events)
