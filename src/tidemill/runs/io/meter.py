"""Measure wall and CPU seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


class Meter:
    """Wall and CPU seconds since it was made; `clock` tells CPU seconds, by default those of this process."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._wall = time.perf_counter()
        self._cpu = clock()

    def read(self) -> tuple[float, float]:
        """(wall, CPU) seconds so far."""
        return time.perf_counter() - self._wall, self._clock() - self._cpu


def with_children() -> float:
    """CPU seconds of this process and of all that it had and that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
