"""Record what servers used as events of the ledger, each once, whether or not the ledger is there now."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tidemill.core.errors import TidemillError
from tidemill.ledger.event import Served
from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import Ledger
from tidemill.serving.counters import Snapshot, difference
from tidemill.serving.io.usage_spool import UsageSpool
from tidemill.serving.metering import served_event

# Seconds after which usage is recorded: with requests, and without.
RECORD_EVERY_S = 60.0
RECORD_IDLE_EVERY_S = 3600.0
# By how much the clocks of machines may differ, in seconds.
_CLOCKS_S = 3600.0


class UsageRecorder:
    """Records what servers used; a crash loses at most a period.

    What can't be recorded is kept in the spool, and recorded later. An append that failed may have happened
    all the same, so it is looked for before it is tried again.
    """

    def __init__(
        self, ledger: Ledger, environment: str, prices: PriceBook, now: float, spool: UsageSpool
    ) -> None:
        self._ledger = ledger
        self._environment = environment
        self._prices = prices
        self._since = now
        self._recorded = Snapshot(processes=0)
        self._failed: Served | None = None
        self._spool = spool
        # A server that stops records while a thread may still wait for the ledger with what was before.
        self._lock = threading.Lock()

    def is_due(self, snapshot: Snapshot, now: float) -> bool:
        """Whether the usage since the last record is to be recorded now."""
        age = now - self._since
        if self._failed is not None or self._spool.has_left():
            return True
        # A clock that was set back doesn't say how long it is.
        if 0 <= age < RECORD_EVERY_S:
            return False
        return self.unrecorded(snapshot) > 0 or age >= RECORD_IDLE_EVERY_S

    def unrecorded(self, snapshot: Snapshot) -> int:
        """The number of requests since the last record."""
        failed = () if self._failed is None else self._failed.usages
        since = snapshot.count_requests() - self._recorded.count_requests()
        return since + sum(each.requests for each in failed)

    def record(self, snapshot: Snapshot, now: float) -> None:
        """Append the usage since the last record, if there was any; raises what the ledger raises.

        What could not be recorded is kept until the next call. It may wait for other writers, so it is called
        in a thread that answers no requests.
        """
        with self._lock:
            period = self._period(snapshot, now)
            try:
                if self._failed is not None:
                    self._append_once([self._failed], now)
                    self._failed = None
                if period.usages:
                    self._begin(period, snapshot, now)
                    # What a crash leaves must be what may be recorded, to be found there.
                    self._spool.amend([period])
                    self._ledger.append([period], now=now)
                self._failed, self._recorded, self._since = None, snapshot, now
                self._spool.clear()
                self._record_left(now)
            except TidemillError:
                self._keep(snapshot, now)
                raise

    def keep(self, snapshot: Snapshot, now: float) -> None:
        """Keep what isn't recorded yet on this machine; StorageError if that can't be written."""
        with self._lock:
            self._keep(snapshot, now)

    def _begin(self, period: Served, snapshot: Snapshot, now: float) -> None:
        """From now on the period is one that may have been recorded."""
        self._failed, self._recorded, self._since = period, snapshot, now

    def _period(self, snapshot: Snapshot, now: float) -> Served:
        return served_event(
            difference(snapshot, self._recorded),
            environment=self._environment,
            since=min(self._since, now),
            until=now,
            price=self._prices.at(now),
        )

    def _keep(self, snapshot: Snapshot, now: float) -> None:
        rest = self._period(snapshot, now)
        found = [each for each in (self._failed, rest) if each is not None and each.usages]
        if found:
            self._spool.keep(found)

    def _record_left(self, now: float) -> None:
        """Record what servers on this machine left that have ended."""
        with self._spool.left() as events:
            self._append_once(events, now)

    def _append_once(self, events: Sequence[Served], now: float) -> None:
        missing = [each for each in events if not self._has(each)]
        if missing:
            self._ledger.append(missing, now=now)

    def _has(self, event: Served) -> bool:
        for fact in self._ledger.events(kinds=(Served.__name__,), newest=True):
            if fact.event == event:
                return True
            if fact.at < event.until - _CLOCKS_S:
                return False
        return False
