"""Send events of lineage from a thread of their own, so that no receiver holds a run up.

The queue is bounded. Events that find no room, that the receiver refuses, or that aren't sent when the time
at the end is over are dropped and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.core.errors import SendError
from tidemill.lineage.openlineage.event_text import encode_event
from tidemill.lineage.openlineage.facets import Json
from tidemill.ports.lineage import LineageTransport

MOST_WAITING = 1000
# A receiver that failed so often in a row isn't tried again in this run.
_MOST_FAILURES = 3
# How long a thread has to notice that its call was broken off.
_ABORT_S = 0.25
_FULL = "the queue was full"
_LATE = "the time at the end of the run was over"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvents:
    """How many events were sent, how many dropped, and why the first of those was."""

    sent: int = 0
    dropped: int = 0
    reason: str = ""


class EventQueue:
    """Sends what `put` takes, until `finish`; the thread starts with the first event."""

    def __init__(
        self,
        transport: LineageTransport,
        *,
        most_waiting: int = MOST_WAITING,
        encode: Callable[[Json], bytes] = encode_event,
    ) -> None:
        self._transport = transport
        self._most = most_waiting
        self._encode = encode
        self._changed = threading.Condition()
        # All that follows is guarded by the condition.
        self._waiting: deque[Json] = deque()
        self._ended = self._abandoned = False
        self._taken = self._sent = 0
        self._reason = ""
        self._thread: threading.Thread | None = None

    def put(self, event: Json) -> None:
        """Queue an event, or drop it; never waits."""
        with self._changed:
            self._taken += 1
            if self._ended or len(self._waiting) >= self._most:
                self._reason = self._reason or _FULL
                return
            self._waiting.append(event)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="tidemill-lineage", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def drop(self, reason: str) -> None:
        """Count an event that couldn't be made."""
        with self._changed:
            self._taken += 1
            self._reason = self._reason or reason

    def finish(self, within_s: float | None) -> SentEvents:
        """Send what waits for at most so many seconds (None: however long it takes), and end the thread."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(within_s)
            if self._thread.is_alive():
                with self._changed:
                    self._abandoned = True
                    self._reason = self._reason or _LATE
                self._transport.abort()
                self._thread.join(_ABORT_S)
        with self._changed:
            lost = self._taken - self._sent
            reason = self._reason if lost else ""
            return SentEvents(sent=self._sent, dropped=lost, reason=reason)

    def _work(self) -> None:
        failures = 0
        while (event := self._next()) is not None:
            # A receiver that is away mustn't be waited for again and again.
            if failures < _MOST_FAILURES:
                failures = 0 if self._try(event) else failures + 1
        try:
            self._transport.close()
        except SendError as error:
            self._note(error, refused=True)

    def _next(self) -> Json | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._abandoned or not self._waiting:
                return None
            return self._waiting.popleft()

    def _try(self, event: Json) -> bool:
        try:
            self._transport.send(self._encode(event))
        except SendError as error:
            self._note(error)
            return False
        with self._changed:
            # After the time is over it is counted as dropped.
            self._sent += not self._abandoned
        return True

    def _note(self, error: SendError, *, refused: bool = False) -> None:
        with self._changed:
            self._reason = self._reason or str(error)
            if refused and not self._abandoned:
                self._sent = 0
