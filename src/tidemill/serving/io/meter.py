"""Meter what a serving process uses, and record the totals in the ledger."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import Ledger
from tidemill.serving.counters import Series, Snapshot, difference
from tidemill.serving.metering import Baseline, MeteredWindow, charge, served_event

# Seconds between two adjustments of the measured CPU times.
ADJUST_EVERY_S = 10.0
# Seconds after which usage is recorded: with requests, and without.
RECORD_EVERY_S = 60.0
RECORD_IDLE_EVERY_S = 3600.0


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


class UsageRecorder:
    """Records what servers used as events of the ledger; a crash loses at most a period."""

    def __init__(self, ledger: Ledger, environment: str, prices: PriceBook, now: float) -> None:
        self._ledger = ledger
        self._environment = environment
        self._prices = prices
        self._since = now
        self._recorded = Snapshot(processes=0)
        # A server that stops records while a thread may still wait for the ledger with what was before.
        self._lock = threading.Lock()

    def is_due(self, snapshot: Snapshot, now: float) -> bool:
        """Whether the usage since the last record is to be recorded now."""
        age = now - self._since
        if age < RECORD_EVERY_S:
            return False
        return self.unrecorded(snapshot) > 0 or age >= RECORD_IDLE_EVERY_S

    def unrecorded(self, snapshot: Snapshot) -> int:
        """The number of requests since the last record."""
        return snapshot.count_requests() - self._recorded.count_requests()

    def record(self, snapshot: Snapshot, now: float) -> None:
        """Append the usage since the last record, if there was any; raises what the ledger raises.

        What could not be recorded is part of the next record. It may wait for other writers, so it is called
        in a thread that answers no requests.
        """
        with self._lock:
            period = difference(snapshot, self._recorded)
            event = served_event(
                period,
                environment=self._environment,
                since=self._since,
                until=now,
                price=self._prices.at(now),
            )
            if event.usages:
                self._ledger.append([event], now=now)
            self._recorded, self._since = snapshot, now
