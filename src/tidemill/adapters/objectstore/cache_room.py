"""Decide which copies on this machine go: those that were used the longest time ago, when room is short."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
# When a file was used last is noted so often.
_NOTED_S = 60.0
# Looking how much there is takes a while: it is done each time that this share of the limit was added.
_ADDED, _LEFT = 1 / 16, 0.9


class CacheRoom:
    """The room for copies of about `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._lock = limit, threading.Lock()
        # So the first copy that is added looks how much there is.
        self._added = limit

    def add(self, size: int) -> bool:
        """Note that copies were added; whether it is time to look how much there is."""
        with self._lock:
            self._added += size
            is_due = self._added >= self._limit * _ADDED
            if is_due:
                self._added = 0
        return is_due

    def surplus(self, found: Iterable[tuple[float, int, T]], before: float) -> Iterator[T]:
        """Yield the copies to delete, of all by the time of their last use and their size.

        None that was used after the time `before`: somebody may still read it.
        """
        found = sorted(found, key=lambda each: each[0])
        held = sum(size for _, size, _ in found)
        if held <= self._limit:
            return
        for used, size, copy in found:
            if held <= self._limit * _LEFT or used > before:
                return
            yield copy
            held -= size


def note_use(path: str, found: os.stat_result, now: float) -> None:
    """Note that a file is used now, so that it is among the last to go."""
    if now - found.st_atime > _NOTED_S:
        # Members of a group may read what isn't theirs. The time of the last change stays.
        with suppress(OSError):
            os.utime(path, ns=(int(now * 1e9), found.st_mtime_ns))


def last_use(found: os.stat_result) -> float:
    return max(found.st_atime, found.st_mtime)
