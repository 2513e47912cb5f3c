"""Measure the time and memory that this process uses."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Stopwatch:
    """Measures wall and CPU seconds since it was created; `cpu_clock` returns CPU seconds."""

    def __init__(self, cpu_clock: Callable[[], float] = time.process_time) -> None:
        self._cpu_clock = cpu_clock
        self._wall = time.perf_counter()
        self._cpu = cpu_clock()

    def read(self) -> tuple[float, float]:
        """Return (wall, CPU) seconds so far."""
        return time.perf_counter() - self._wall, self._cpu_clock() - self._cpu


def cpu_with_children() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def peak_memory() -> int:
    """Return the most memory (bytes) that this process held, since it started or the peak was reset."""
    try:
        status = Path("/proc/self/status").read_bytes()
        line = next(line for line in status.splitlines() if line.startswith(b"VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    # getrusage also counts what the parent held when it started this process.
    return int(line.split()[1]) * 1024


def reset_peak_memory() -> bool:
    """Measure the peak from now on; False where the system can't."""
    try:
        Path("/proc/self/clear_refs").write_bytes(b"5")
    except OSError:
        return False
    return True
