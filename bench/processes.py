"""Processes as the kernel tells of them in /proc, so that no engine is taken at its word. Linux only."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")


class Seen(NamedTuple):
    """A process that was seen; its start (clock ticks) tells it from a later one of the same id."""

    id: int
    start: int

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that only waits to be noticed doesn't."""
        now = seen(self.id)
        return now == self and state(self.id) not in "ZX"


def seen(process: int) -> Seen | None:
    """A process by its id; None if there is none."""
    fields = _stat(process)
    return Seen(process, int(fields[19])) if fields else None


def state(process: int) -> str:
    """The letter of its state; X if it is gone."""
    fields = _stat(process)
    return fields[0] if fields else "X"


def _stat(process: int) -> list[str]:
    """What stat tells after the name, which may hold blanks and brackets itself."""
    try:
        return (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def children(process: int) -> Iterator[int]:
    """All that a process started that wasn't waited for, and what those started."""
    for thread in _entries(process, "task"):
        try:
            found = (PROC / str(process) / "task" / thread / "children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in map(int, found):
            yield child
            yield from children(child)


def workers(process: int) -> list[int]:
    """What of it runs, the resource trackers of pools aside: those hold no memory to speak of."""
    return [each for each in children(process) if state(each) not in "ZX" and not _tracks(each)]


def _tracks(process: int) -> bool:
    try:
        return b"resource_tracker" in (PROC / str(process) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _entries(process: int, folder: str) -> list[str]:
    try:
        return os.listdir(PROC / str(process) / folder)
    except (FileNotFoundError, ProcessLookupError):
        return []


def of_variable(name: str, value: str) -> set[int]:
    """The processes that began with this variable, and all that they started: some overwrite their own."""
    sought, found = f"{name}={value}\0".encode(), set[int]()
    for entry in PROC.glob("[0-9]*/environ"):
        # Processes end while they are looked at, and those of other people can't be read.
        with suppress(OSError):
            if sought in entry.read_bytes():
                process = int(entry.parent.name)
                found |= {process, *children(process)}
    return found


def spent_s(process: int) -> float:
    """CPU seconds of it and of what it waited for, in hundredths; 0 if it is gone."""
    return sum(map(int, _stat(process)[11:15])) / TICKS


def descriptors(process: int) -> int:
    """How many files and sockets it has open."""
    return len(_entries(process, "fd"))


def threads(process: int) -> int:
    """How many threads it has."""
    return len(_entries(process, "task"))


def resident(process: int) -> int:
    """Bytes that it holds in memory; 0 if it is gone."""
    return _memory(process)[0]


def private(process: int) -> int:
    """Bytes that it holds by itself: what it maps from files isn't counted."""
    total, shared = _memory(process)
    return total - shared


def _memory(process: int) -> tuple[int, int]:
    try:
        total, shared = (PROC / str(process) / "statm").read_text().split()[1:3]
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(total) * _PAGE, int(shared) * _PAGE


def cpu_s(process: int) -> float:
    """CPU seconds of the threads that it has now, to the nanosecond; stat only tells hundredths."""
    spent = 0
    for thread in _entries(process, "task"):
        try:
            told = (PROC / str(process) / "task" / thread / "schedstat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        spent += int(told.split()[0])
    return spent / 1e9


class Watch:
    """Counts the workers of this process from a thread, every few milliseconds, while it is entered."""

    def __init__(self, step_s: float = 0.02) -> None:
        self._step_s = step_s
        self._over = threading.Event()
        # Moments (monotonic), and how many workers there were.
        self.counts: list[tuple[float, int]] = []
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _count(self) -> None:
        while not self._over.is_set():
            self.counts.append((time.monotonic(), len(workers(os.getpid()))))
            self._over.wait(self._step_s)

    @property
    def held_s(self) -> float:
        """Worker seconds so far."""
        pairs = zip(self.counts, self.counts[1:], strict=False)
        return sum(count * (after - before) for (before, count), (after, _) in pairs)

    def gone(self, since: float, before: float = float("inf")) -> float | None:
        """When there was no worker for the first time since; None if that wasn't so before."""
        moments = (at for at, count in self.counts if since < at < before and not count)
        return next(moments, None)


def until_gone(limit_s: float) -> float:
    """Wait until this process has no workers; when that was (monotonic). TimeoutError otherwise."""
    end = time.monotonic() + limit_s
    while workers(os.getpid()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {limit_s:g} s there still are workers")
        time.sleep(0.002)
    return time.monotonic()
