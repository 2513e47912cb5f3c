"""Copies of objects on this machine, so that none is fetched twice; the oldest go when room is short."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.objectstore.cache_room import CacheRoom, last_use, note_use
from tidemill.core.errors import StorageError
from tidemill.core.payload import Payload, byte_count
from tidemill.ports.artifacts import StoredBytes

# Somebody may still read what was used so lately.
_IN_USE_S = 3_600.0


class ObjectCache:
    """Objects below the folder `root`, which several processes share.

    They take up about `limit` bytes, or what was used within the last hour, if that is more.
    """

    def __init__(self, root: Path, limit: int, *, clock: Callable[[], float] = time.time) -> None:
        self._root, self._room, self._clock = root, CacheRoom(limit), clock

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
        note_use(self.path(name), found, self._clock())
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
        if self._room.add(sum(byte_count(payload) for payload, _ in objects)):
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
                found.append((last_use(known), known.st_size, name))
        for name in self._room.surplus(found, self._clock() - _IN_USE_S):
            # Another process may have deleted it.
            with suppress(OSError):
                os.unlink(self.path(name))
