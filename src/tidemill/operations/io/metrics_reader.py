"""Read the metrics of an environment from its ledger, and keep what was read for the next command.

Losing the file in which they are kept costs only the time to read the events again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from tidemill.core.local_day import time_zone
from tidemill.costs.io.kept_state import read_kept, write_kept
from tidemill.costs.io.recorded_prices import priced_events, recorded_histories
from tidemill.costs.price_history import PriceHistories, PriceHistory
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.price import PriceBook
from tidemill.operations.ledger_metrics import HORIZON_S, KINDS, LedgerMetrics
from tidemill.operations.objective_settings import Objective
from tidemill.operations.watermarks import seed_watermarks
from tidemill.ports.ledger import Ledger

# Changes with the meaning of what is kept.
_FORMAT = 6
# New events that are worth writing the file, and after how many it is written while more are read.
_WORTH_KEEPING, _SAVED_AT = 200, 100_000
# Partitions of a stage that its watermark is looked for in, if they were published long ago.
_SEEDED = 3


class MetricsReader:
    """Reads the metrics of an environment; each call reads only events that are new.

    `kept` is the file in which they are kept; without one, or where it can't be written, each reader begins
    with the events of the last 28 weeks. `prices` price what no recorded book does. UsageError for an
    unknown time `zone`.
    """

    def __init__(
        self,
        ledger: Ledger,
        environment: str,
        *,
        zone: str = "UTC",
        objectives: tuple[Objective, ...] = (),
        kept: Path | None = None,
        prices: PriceBook | None = None,
    ) -> None:
        time_zone(zone)
        self._ledger = ledger
        self._settings = prices or PriceBook()
        self._empty = LedgerMetrics(environment=environment, zone=zone, objectives=objectives)
        self._kept = kept
        self._known: LedgerMetrics | None = None

    def read(self, now: float) -> LedgerMetrics:
        """The metrics as of now (Unix seconds); the caller must not change them."""
        self._empty.book = self.prices().first
        known = self._known
        if known is not None and known.book != self._empty.book:
            known = None
        found = known or self._load() or self._begin(now)
        before = found.events
        for fact, prices in self._priced_after(found.seq):
            found.note(fact, prices)
            if found.events - before >= _SAVED_AT:
                # A long history that is interrupted goes on there.
                self._save(found)
                before = found.events
        if known is None:
            self._seed(found)
        # A clock that runs ahead for a while must not make it forget what happened lately.
        found.prune(min(now, found.at))
        if found.events - before >= _WORTH_KEEPING:
            self._save(found)
        self._known = found
        return found

    def read_since(self, since: float) -> LedgerMetrics:
        """The metrics of the events from a time on (Unix seconds), with all days; nothing of it is kept."""
        self._empty.book = self.prices().first
        found = replace(deepcopy(self._empty), since=since, seq=find_window(self._ledger, since))
        for fact, prices in self._priced_after(found.seq):
            found.note(fact, prices)
        self._seed(found)
        return found

    def prices(self) -> PriceHistory:
        """By which prices the work of the environment was priced."""
        return self._all_prices().of(self._empty.environment)

    def _all_prices(self) -> PriceHistories:
        return recorded_histories(self._ledger, self._settings)

    def _priced_after(self, seq: int) -> Iterator[tuple[RecordedEvent, PriceHistory]]:
        for fact, prices in priced_events(self._ledger, KINDS, seq, self._all_prices):
            yield fact, prices.of(self._empty.environment)

    def _begin(self, now: float) -> LedgerMetrics:
        since = now - HORIZON_S
        after = find_window(self._ledger, since)
        return replace(deepcopy(self._empty), since=since, seq=after)

    def _seed(self, found: LedgerMetrics) -> None:
        """Add what was published before all events that were read."""
        state = self._ledger.state(found.environment)
        heads = {
            stage: {key: head.partitions[key] for key in _newest(head.partitions)}
            for stage, head in state.heads.items()
            if stage not in found.watermarks
        }
        seed_watermarks(found.watermarks, heads, found.zone)

    def _load(self) -> LedgerMetrics | None:
        """What was kept, if it is of this ledger and these settings."""
        found = read_kept(self._kept, _FORMAT, LedgerMetrics)
        if found is None or _settings_of(found) != _settings_of(self._empty):
            return None
        return found if self._is_recorded(found) else None

    def _is_recorded(self, found: LedgerMetrics) -> bool:
        """Whether the last event that was read is in the ledger: it may be another, or an older copy."""
        facts = self._ledger.events(kinds=KINDS, after=found.seq - 1, limit=1)
        last = next(iter(facts), None)
        return last is not None and (last.seq, last.at) == (found.seq, found.at)

    def _save(self, found: LedgerMetrics) -> None:
        write_kept(self._kept, _FORMAT, found)


def _settings_of(metrics: LedgerMetrics) -> tuple[object, ...]:
    return metrics.environment, metrics.zone, metrics.objectives, metrics.book


def _newest(partitions: Iterable[str]) -> list[str]:
    """The newest partitions of a head, by their keys, so that few bindings are loaded."""
    return sorted(partitions)[-_SEEDED:]


def find_window(ledger: Ledger, since: float) -> int:
    """The number of an event that all events from `since` (Unix seconds) on come after.

    Times grow with numbers but for clocks that were set, so that it is looked for by bisection; before what
    is found, events are tried at growing distances.
    """
    low, high = 0, _last_number(ledger)
    while True:
        found = _bisect(ledger, since, low, high)
        later = [
            at
            for at in _growing_distances(found)
            if (fact := _event_after(ledger, at)) is not None
            and fact.seq <= found
            and fact.at >= since
        ]
        if not later:
            return found
        low, high = 0, min(later)


def _bisect(ledger: Ledger, since: float, low: int, high: int) -> int:
    """The largest number in a range that an event older than `since` has, as far as times grow."""
    while low < high:
        middle = (low + high) // 2
        fact = _event_after(ledger, middle)
        if fact is None or fact.at >= since:
            high = middle
        else:
            low = max(middle + 1, min(fact.seq, high))
    return low


def _growing_distances(number: int) -> Iterator[int]:
    distance = 1
    while distance <= number:
        yield number - distance
        distance *= 2


def _event_after(ledger: Ledger, number: int) -> RecordedEvent | None:
    return next(iter(ledger.events(after=number, limit=1)), None)


def _last_number(ledger: Ledger) -> int:
    last = next(iter(ledger.events(newest=True, limit=1)), None)
    return 0 if last is None else last.seq
