"""Follow the ledger in a thread, and tell pages what changed."""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tidemill.console.topics import EVERYTHING, topics_of_all
from tidemill.core.errors import TidemillError
from tidemill.operations.io.inotify import Inotify
from tidemill.ports.ledger import Ledger

# Without news of the system the ledger is looked at so often.
_POLL_S = 0.25
# So long after it was written to it is looked at: the transaction is then complete, as a rule, and what comes
# within the longer time is told together. How long writing takes to be seen nobody knows, so it is looked
# at again ever later, until the last of these.
_COMMIT_S, _TOGETHER_S, _LAST_S = 0.002, 0.02, 1.0
# Whoever missed more than so many events looks at everything again.
_MOST = 2_000
_BEAT_S = 15.0


async def _for_ever() -> bool:
    return True


class LedgerWatch:
    """Reads the events of a ledger as they are recorded; `messages` tells their topics."""

    def __init__(self, ledger: Ledger, home: Path) -> None:
        self._ledger, self._home = ledger, home
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        # The thread waits at the other end, too, and wakes once this one is closed.
        self._waker: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._clients: set[asyncio.Event] = set()
        self._recent: deque[tuple[int, frozenset[str]]] = deque(maxlen=_MOST)
        # What the thread has read, and what was told.
        self._read = self.seq = 0
        self._file: tuple[int, int] | None = None
        # How often the ledger was replaced, as by one that was restored, and its last event then.
        self.generation = self._begun = self._begun_file = 0

    def start(self) -> None:
        """Begin, from a running loop."""
        self._loop = asyncio.get_running_loop()
        self._file = self._find_file()
        self._begun_file = self._file[1]
        self._read = self.seq = self._last_seq()
        self._waker, ending = socket.socketpair()
        self._thread = threading.Thread(
            target=self._run, args=(ending,), name="tidemill-console", daemon=True
        )
        self._thread.start()

    @property
    def ledger_id(self) -> str:
        """What distinguishes this ledger from the one that it replaced, and from one that replaces it."""
        return f"{self._begun_file}-{self.generation}"

    def end(self) -> None:
        """End all messages, at once."""
        self._stop.set()
        if self._waker is not None:
            self._waker.close()
        self._in_loop(self._wake)

    def close(self) -> None:
        """End all messages and the thread."""
        self.end()
        if self._thread is not None:
            self._thread.join()

    async def messages(
        self,
        after: int,
        is_wanted: Callable[[], Awaitable[bool]] = _for_ever,
        ledger: str = "",
    ) -> AsyncGenerator[bytes]:
        """Server-sent events about what was recorded after the event number `after`, until `close`.

        The id of each is the number of the last event that it tells of. They end once nobody may see them
        any more. If `after` is a number of another `ledger` than the one there is, everything has changed.
        """
        changed, generation = asyncio.Event(), self.generation
        if ledger not in ("", self.ledger_id):
            generation = -1
        self._clients.add(changed)
        try:
            while not self._stop.is_set() and await is_wanted():
                changed.clear()
                if self.generation != generation:
                    generation, after = self.generation, self.seq
                    yield _message(after, (EVERYTHING,))
                    continue
                if self.seq != after:
                    topics, after = self._since(after), self.seq
                    yield _message(after, topics)
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), _BEAT_S)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._clients.discard(changed)

    def _since(self, after: int) -> Collection[str]:
        """The topics of what was recorded after a number, which may lie before this process began."""
        if not self._begun <= after <= self.seq:
            # It is a number of a ledger that was replaced.
            return (EVERYTHING,)
        if self._recent and after >= self._recent[0][0] - 1:
            return frozenset[str]().union(*(topics for seq, topics in self._recent if seq > after))
        found = [*islice(self._ledger.events(after=after), _MOST + 1)]
        return (EVERYTHING,) if len(found) > _MOST else topics_of_all(each.event for each in found)

    def _run(self, ending: socket.socket) -> None:
        try:
            watch: Inotify | None = Inotify()
            assert watch is not None
            watch.add(str(self._home))
        except OSError:
            watch = None
        pause = last = _POLL_S if watch is None else _LAST_S
        sources: list[socket.socket | Inotify] = [ending]
        if watch is not None:
            sources.append(watch)
        try:
            while not self._stop.is_set():
                looked = time.monotonic()
                # A ledger that can't be read now is read later.
                with suppress(TidemillError, OSError):
                    self._look()
                changed = select.select(sources, [], [], pause)[0]
                if watch is not None and watch in changed:
                    self._stop.wait(max(_COMMIT_S, looked + _TOGETHER_S - time.monotonic()))
                    for _ in watch.read():
                        pass
                    pause = _TOGETHER_S
                else:
                    pause = min(pause * 4, last)
        finally:
            ending.close()
            if watch is not None:
                watch.close()

    def _look(self) -> None:
        file, last = self._find_file(), self._last_seq()
        if file != self._find_file():
            # It was replaced just now: whose number that is shows the next time.
            return
        if file != self._file or last < self._read:
            self._file, self._read = file, last
            self._in_loop(self._start_over, last)
            return
        found = [*islice(self._ledger.events(after=self._read), _MOST)]
        if found:
            self._read = found[-1].seq
            topics = topics_of_all(each.event for each in found)
            self._in_loop(self._tell, self._read, topics)

    def _last_seq(self) -> int:
        newest = next(iter(self._ledger.events(newest=True, limit=1)), None)
        return newest.seq if newest is not None else 0

    def _find_file(self) -> tuple[int, int]:
        """What distinguishes the ledger's file from one that replaces it."""
        found = os.stat(self._home / "ledger.db")
        return found.st_dev, found.st_ino

    def _start_over(self, seq: int) -> None:
        self.generation += 1
        self._begun = seq
        self._recent.clear()
        self._tell(seq, frozenset({EVERYTHING}))

    def _tell(self, seq: int, topics: frozenset[str]) -> None:
        self._recent.append((seq, topics))
        self.seq = seq
        self._wake()

    def _in_loop(self, call: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None:
            # A loop that was closed has nobody to tell.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *arguments)

    def _wake(self) -> None:
        for each in self._clients:
            each.set()


def _message(seq: int, topics: Collection[str]) -> bytes:
    data = json.dumps({"topics": sorted(topics)}, ensure_ascii=True)
    return f"id: {seq}\nevent: change\ndata: {data}\n\n".encode()
