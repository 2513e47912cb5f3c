"""Copies of objects on this machine, so that none is fetched twice; the oldest go when room is short."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.core.payload import Payload, byte_count
from tidemill.ports.artifacts import StoredBytes

# A file that is read isn't touched each time.
_TOUCHED_S = 60.0
# Somebody may still read what was used so lately.
_IN_USE_S = 3_600.0
# Looking how much there is takes a while, so it is looked at each time that this share was added.
_LOOKED_AT, _LEFT = 1 / 16, 0.9


class ObjectCache:
    """Objects below the folder `root`, which several processes share, of about `limit` bytes at most."""

    def __init__(self, root: Path, limit: int, *, clock: Callable[[], float] = time.time) -> None:
        self._files = FileArtifacts(root, clock=clock)
        self._limit, self._clock = limit, clock
        self._lock = threading.Lock()
        # So the first object that is added looks how much there is.
        self._added = limit

    def path(self, name: str) -> str:
        """Where an object is, or would be."""
        return self._files.uri(name)

    def has(self, name: str) -> bool:
        """Whether an object is there; then it is among the last to go."""
        path = self.path(name)
        try:
            last = os.stat(path).st_mtime
            if self._clock() - last > _TOUCHED_S:
                now = self._clock()
                os.utime(path, (now, now))
        except OSError:
            return False
        return True

    def keep(self, objects: Sequence[tuple[Payload, str]]) -> None:
        """Store copies, which replace damaged ones."""
        self._files.put_all(objects)
        with self._lock:
            self._added += sum(byte_count(payload) for payload, _ in objects)
            is_due = self._added >= self._limit * _LOOKED_AT
            if is_due:
                self._added = 0
        if is_due:
            self._make_room()

    def open(self, name: str) -> AbstractContextManager[StoredBytes]:
        """Open a copy to read parts of it; StorageError if there is none."""
        return self._files.open(name)

    def names(self) -> list[str]:
        """The objects of which there are copies."""
        return [*self._files.names()]

    def forget(self, names: Collection[str]) -> None:
        """Delete copies."""
        self._files.remove(names)

    def _make_room(self) -> None:
        """Delete those that were used the longest time ago until there is some room; none in use."""
        found = sorted(self._files.stored(), key=lambda each: each.written)
        held, before = sum(each.bytes for each in found), self._clock() - _IN_USE_S
        if held <= self._limit:
            return
        for each in found:
            if held <= self._limit * _LEFT or each.written > before:
                return
            # Another process may have deleted it.
            with suppress(OSError):
                os.unlink(self.path(each.name))
            held -= each.bytes
