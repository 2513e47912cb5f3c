"""Copies of objects on this machine, so that none is fetched twice; the oldest go when room is short."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.core.errors import StorageError
from tidemill.core.payload import Payload, byte_count
from tidemill.ports.artifacts import StoredBytes

# When a file was used last is noted so often.
_NOTED_S = 60.0
# Somebody may still read what was used so lately.
_IN_USE_S = 3_600.0
# Looking how much there is takes a while: it is done each time that this share of the limit was added.
_ADDED, _LEFT = 1 / 16, 0.9


class ObjectCache:
    """Objects below the folder `root`, which several processes share.

    They take up about `limit` bytes, or what was used within the last hour, if that is more.
    """

    def __init__(self, root: Path, limit: int, *, clock: Callable[[], float] = time.time) -> None:
        self._root, self._limit, self._clock = root, limit, clock
        self._lock = threading.Lock()
        # So the first object that is added looks how much there is.
        self._added = limit

    @cached_property
    def _files(self) -> FileArtifacts:
        return FileArtifacts(self._root, clock=self._clock)

    def path(self, name: str) -> str:
        """Where an object is, or would be."""
        return self._files.uri(name)

    def has(self, name: str) -> bool:
        """Whether an object is there; then it is among the last to go."""
        try:
            found = os.stat(self.path(name))
        except OSError:
            return False
        now = self._clock()
        if now - found.st_atime > _NOTED_S:
            # Members of a group may read what isn't theirs. The time of the last change stays.
            with suppress(OSError):
                os.utime(self.path(name), ns=(int(now * 1e9), found.st_mtime_ns))
        return True

    def version(self, name: str) -> object:
        """What changes when a copy is written again; None if there is none."""
        try:
            found = os.stat(self.path(name))
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def read(self, name: str) -> bytes | None:
        """The bytes of a copy, if it is what it should be."""
        if not self.has(name):
            return None
        try:
            return self._files.get(name)
        except StorageError:
            return None

    def open(self, name: str) -> AbstractContextManager[StoredBytes]:
        """Open a copy to read parts of it; StorageError if there is none."""
        return self._files.open(name)

    def keep(self, objects: Sequence[tuple[Payload, str]]) -> None:
        """Store copies, which replace damaged ones; StorageError where there is no room."""
        try:
            self._files.put_all(objects)
        except StorageError as error:
            raise StorageError(
                f"{error} (copies of an object store lie in {self._root}, which may be deleted while nothing "
                "runs; `artifacts_cache` limits them)"
            ) from error
        with self._lock:
            self._added += sum(byte_count(payload) for payload, _ in objects)
            is_due = self._added >= self._limit * _ADDED
            if is_due:
                self._added = 0
        if is_due:
            self._make_room()

    def names(self) -> list[str]:
        """The objects of which there are copies; no folder is made for it."""
        return [*self._files.names()] if self._root.exists() else []

    def forget(self, names: Collection[str]) -> None:
        """Delete copies."""
        if names:
            self._files.remove(names)

    def remove_leftovers(self, before: float) -> None:
        """Delete what writers left that died before a time."""
        if self._root.exists():
            self._files.remove_leftovers(before)

    def _make_room(self) -> None:
        """Delete those that were used the longest time ago until there is some room; none in use."""
        found: list[tuple[float, int, str]] = []
        for name in self.names():
            with suppress(OSError):
                known = os.stat(self.path(name))
                found.append((max(known.st_atime, known.st_mtime), known.st_size, name))
        held, before = sum(size for _, size, _ in found), self._clock() - _IN_USE_S
        if held <= self._limit:
            return
        for used, size, name in sorted(found):
            if held <= self._limit * _LEFT or used > before:
                return
            # Another process may have deleted it.
            with suppress(OSError):
                os.unlink(self.path(name))
            held -= size
