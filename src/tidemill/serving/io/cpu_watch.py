"""Measure the CPU time of one request on a thread that it shares with others."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class CpuWatch:
    """Adds up the CPU time of the calling thread, without the time in which a request waits.

    It runs from its creation on. `from_cache` says that the request was answered without calling the model.
    """

    __slots__ = ("_since", "_used_ns", "from_cache")

    def __init__(self) -> None:
        self.from_cache = False
        self._used_ns = 0
        self._since = time.thread_time_ns()

    async def wait(self, result: Awaitable[T]) -> T:
        """Await something that isn't there yet: what other requests use meanwhile isn't this one's."""
        self._used_ns += time.thread_time_ns() - self._since
        try:
            return await result
        finally:
            self._since = time.thread_time_ns()

    def add(self, seconds: float | None) -> None:
        """Add CPU time that another thread, or a batch, used for the request; None: a cache answered it."""
        if seconds is None:
            self.from_cache = True
        else:
            self._used_ns += int(seconds * 1e9)

    def read_ns(self) -> int:
        """The CPU time so far, in nanoseconds."""
        return self._used_ns + time.thread_time_ns() - self._since
