"""Measure how busy this process is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from tidemill.serving.worker_scaling import ProcessLoad

# A shorter time says little.
_LEAST_S = 0.5


def waited_for_cpu() -> float:
    """The seconds that this thread could run but had no CPU; 0 where the system doesn't tell."""
    try:
        text = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text()
        return int(text.split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class LoadMeter:
    """Measures how busy a process is between two calls, which are half a second apart at least.

    What its event loop waits for a CPU counts as well: requests queue in that time, too.
    """

    def __init__(
        self,
        process_s: Callable[[], float] = time.process_time,
        wall_s: Callable[[], float] = time.monotonic,
        waited_s: Callable[[], float] = waited_for_cpu,
    ) -> None:
        self._process, self._wall, self._waited = process_s, wall_s, waited_s
        self._used, self._at = process_s() + waited_s(), wall_s()
        self._busy = 0.0

    def read(self, *, queued: int, connections: int) -> ProcessLoad:
        """The load since the last call, with what waits and is connected now."""
        used, at = self._process() + self._waited(), self._wall()
        if at - self._at >= _LEAST_S:
            self._busy = (used - self._used) / (at - self._at)
            self._used, self._at = used, at
        return ProcessLoad(busy=self._busy, queued=queued, connections=connections)
