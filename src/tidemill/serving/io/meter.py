"""Meter what a serving process uses."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tidemill.serving.counters import Series, Snapshot
from tidemill.serving.metering import Baseline, MeteredWindow, charge

# Seconds between two adjustments of the measured CPU times.
ADJUST_EVERY_S = 10.0


def resident_memory() -> int:
    """Return the bytes that this process holds; of memory that it shares with others, its part.

    It takes some 0.5 ms for 75 MB. Where the system doesn't tell, it is the most that the process ever held.
    """
    try:
        lines = Path("/proc/self/smaps_rollup").read_bytes().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(b"Pss:")) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Meter:
    """The counters of this process. Only the thread of its event loop calls the methods.

    Call `adjust` every `ADJUST_EVERY_S` with what `resident_memory` returns, in another thread if it is slow,
    and before the last `snapshot`.
    """

    def __init__(
        self,
        *,
        process_ns: Callable[[], int] = time.process_time_ns,
        wall_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._clock, self._wall = process_ns, wall_ns
        self._series: dict[tuple[str, str], Series] = {}
        self._refusals: dict[int, int] = {}
        self._metered_refusals = 0
        self._background_ns = 0
        self._baseline = Baseline()
        self._since = wall_ns()
        self._used = self._begun = process_ns()
        self._unshared_ns = 0
        self._held = 0

    def series(self, endpoint: str, version: str) -> Series:
        """The counters of a version at an endpoint, which is loaded from now on.

        Set `resident` to False when it is unloaded; its counts are kept.
        """
        place = endpoint, version
        found = self._series.get(place)
        if found is None:
            # What was used before belongs to the versions that were loaded then.
            self.adjust()
            found = self._series[place] = Series(endpoint, version)
        found.resident = True
        return found

    def refuse(self, status: int) -> None:
        """Count a reply that belongs to no endpoint."""
        self._refusals[status] = self._refusals.get(status, 0) + 1

    def add_background(self, cpu_ns: int) -> None:
        """Add CPU time of work that no request caused, such as loading a model in a thread."""
        self._background_ns += cpu_ns

    def adjust(self, memory_bytes: int | None = None) -> None:
        """Charge what the process used since the last call to the series.

        It held `memory_bytes` in that time; None: as many as before.
        """
        now, used = self._wall(), self._clock()
        self._held = self._held if memory_bytes is None else memory_bytes
        all_series = list(self._series.values())
        window = MeteredWindow(
            wall_ns=now - self._since,
            process_ns=used - self._used,
            background_ns=self._background_ns,
            requests=tuple(each.requests - each.metered for each in all_series),
            measured=tuple(each.cpu_ns - each.metered_ns for each in all_series),
            resident=tuple(each.resident for each in all_series),
            refusals=sum(self._refusals.values()) - self._metered_refusals,
            memory_bytes=self._held,
        )
        charges = charge(window, self._baseline)
        for at, each in enumerate(all_series):
            each.metered += window.requests[at]
            each.metered_ns += window.measured[at]
            each.charged_ns += charges.requests[at]
            each.idle_ns += charges.idle[at]
            each.memory_byte_s += charges.memory_byte_s[at]
        self._metered_refusals += window.refusals
        self._unshared_ns += charges.unshared
        self._baseline = self._baseline.after(window)
        self._since, self._used, self._background_ns = now, used, 0

    def snapshot(
        self,
        *,
        in_flight: int = 0,
        log_drops: int = 0,
        logged_rows: Mapping[str, int] | None = None,
        unlogged: Mapping[str, int] | None = None,
    ) -> Snapshot:
        """The counters as plain data; CPU times up to the last adjustment."""
        return Snapshot(
            process_ns=self._used - self._begun,
            unshared_ns=self._unshared_ns,
            in_flight=in_flight,
            memory_bytes=self._held,
            log_drops=log_drops,
            logged_rows=logged_rows or {},
            unlogged=unlogged or {},
            refusals={str(status): count for status, count in self._refusals.items()},
            series=tuple(each.totals() for each in self._series.values()),
        )
