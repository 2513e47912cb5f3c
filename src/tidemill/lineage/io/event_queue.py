"""Make and send events of lineage in a thread of their own, so that nothing of it holds a run up.

The queue is bounded. Events that find no room, that can't be made, that the receiver refuses, or that aren't
sent when the time at the end is over are dropped and counted, by the run that they are about.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import field

from tidemill.core.errors import SendError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.openlineage.event_text import encode_event
from tidemill.lineage.openlineage.facets import Json
from tidemill.lineage.openlineage.run_events import MakeEvent
from tidemill.ports.lineage import LineageTransport

MOST_WAITING = 1000
# A receiver that failed so often in a row isn't tried again in this run.
_MOST_FAILURES = 3
# How long a thread has to notice that its call was broken off.
_ABORT_S = 0.25
_FULL = "the queue was full"
_LATE = "the time at the end of the run was over"
_STOPPED = "it was interrupted at the end of the run"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvents:
    """How many events were sent, how many dropped, and why the first of those was."""

    sent: int = 0
    dropped: int = 0
    reason: str = ""


@dataclass(slots=True)
class _Count:
    """The events that were given, and those that the transport took, by run."""

    given: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    reason: str = ""

    def note(self, reason: str) -> None:
        self.reason = self.reason or reason


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
        self._waiting: deque[tuple[str, MakeEvent]] = deque()
        self._ended = self._abandoned = self._refused = self._closed = False
        self._count = _Count()
        self._thread: threading.Thread | None = None

    def put(self, run: str, make: MakeEvent) -> None:
        """Queue an event of a run, which is made in the thread, or drop it; never waits."""
        with self._changed:
            self._count.given[run] += 1
            if self._ended or len(self._waiting) >= self._most:
                self._count.note(_FULL)
                return
            self._waiting.append((run, make))
            if self._thread is None:
                self._start()
            self._changed.notify()

    def drop(self, run: str, reason: str) -> None:
        """Count an event that couldn't be queued."""
        with self._changed:
            self._count.given[run] += 1
            self._count.note(reason)

    def finish(self, within_s: float | None) -> dict[str, SentEvents]:
        """Send what waits for at most so many seconds (None: however long it takes), and end the thread.

        Returns by run what was sent. Ctrl-C ends the waiting, and no more of it is needed.
        """
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            try:
                self._thread.join(within_s)
                late = _LATE
            except KeyboardInterrupt:
                late = _STOPPED
            if self._thread.is_alive():
                self._abandon(self._thread, late)
        with self._changed:
            return {run: self._result(run) for run in self._count.given}

    def _result(self, run: str) -> SentEvents:
        given, sent = self._count.given[run], self._count.taken[run]
        if self._refused or not (self._transport.confirms or self._closed):
            sent = 0
        reason = self._count.reason if sent < given else ""
        return SentEvents(sent=sent, dropped=given - sent, reason=reason)

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="tidemill-lineage", daemon=True)
        try:
            thread.start()
        # There are too many threads, or the interpreter shuts down.
        except RuntimeError as error:
            self._waiting.clear()
            self._count.note(str(error))
        else:
            self._thread = thread

    def _abandon(self, thread: threading.Thread, reason: str) -> None:
        with self._changed:
            self._abandoned = True
            self._count.note(reason)
        # What isn't sent is counted, also if somebody presses Ctrl-C once more.
        with suppress(KeyboardInterrupt):
            with suppress(Exception):
                self._transport.abort()
            thread.join(_ABORT_S)

    def _work(self) -> None:
        try:
            try:
                self._send_all()
            finally:
                self._transport.close()
        except SendError as error:
            self._note(str(error), refused=True)
        # Whatever ends the thread, a run goes on, and what isn't sent is counted.
        except BaseException as error:  # noqa: BLE001
            self._note(f"sending failed: {_shown(error)}")
        else:
            with self._changed:
                self._closed = True

    def _send_all(self) -> None:
        failures = 0
        while (found := self._next()) is not None:
            # A receiver that is away mustn't be waited for again and again.
            if failures < _MOST_FAILURES and (event := self._encode_event(found[1])) is not None:
                failures = 0 if self._sent(found[0], event) else failures + 1

    def _next(self) -> tuple[str, MakeEvent] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if self._abandoned or not self._waiting:
                return None
            return self._waiting.popleft()

    def _encode_event(self, make: MakeEvent) -> bytes | None:
        try:
            return self._encode(make())
        # A bug in the description of one event mustn't lose the others.
        except Exception as error:  # noqa: BLE001
            self._note(f"an event couldn't be made: {_shown(error)}")
            return None

    def _sent(self, run: str, event: bytes) -> bool:
        try:
            self._transport.send(event)
        except SendError as error:
            self._note(str(error))
            return False
        with self._changed:
            # After the time is over it is counted as dropped.
            self._count.taken[run] += not self._abandoned
        return True

    def _note(self, reason: str, *, refused: bool = False) -> None:
        with self._changed:
            self._count.note(reason)
            self._refused |= refused


def _shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
