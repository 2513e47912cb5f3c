"""Measure the time and memory that this process uses."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """Measures wall and CPU seconds since it was created; `cpu_clock` returns CPU seconds.

    With `cpu_began` it measures the CPU seconds since the clock was there.
    """

    def __init__(
        self,
        cpu_clock: Callable[[], float] = time.process_time,
        cpu_began: float | None = None,
    ) -> None:
        self._cpu_clock = cpu_clock
        self._wall = time.perf_counter()
        self._cpu = cpu_clock() if cpu_began is None else cpu_began

    def read(self) -> tuple[float, float]:
        """Return (wall, CPU) seconds so far."""
        return time.perf_counter() - self._wall, self._cpu_clock() - self._cpu


def cpu_with_children() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def process_tree_cpu(process: int) -> float | None:
    """Return the CPU seconds of a process and of all below it; None where /proc doesn't show them.

    Also of its children that ended, if it waited for them.
    """
    folder = Path(f"/proc/{process}")
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        found = sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
    except (OSError, ValueError):
        return None
    return found + sum(process_tree_cpu(child) or 0.0 for child in _children(folder))


def _children(folder: Path) -> list[int]:
    """The children of a process, by all of its threads."""
    found: list[int] = []
    with suppress(OSError):
        for thread in (folder / "task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


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
