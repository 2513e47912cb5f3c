"""Read what the four numbers are computed from, and keep what was read for the next command."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from tidemill.core.local_day import time_zone
from tidemill.costs.io.kept_state import read_kept, write_kept
from tidemill.costs.io.recorded_prices import priced_events, recorded_histories
from tidemill.costs.price_history import PriceHistories
from tidemill.ledger.price import PriceBook
from tidemill.operations.io.metrics_reader import find_window
from tidemill.ports.ledger import Ledger
from tidemill.scorecard.io.earlier_facts import earlier_facts
from tidemill.scorecard.scorecard_sums import HORIZON_S, SCORECARD_KINDS, ScorecardSums

# Changes with the meaning of what is kept.
_FORMAT = 5
# New events that are worth writing the file, and after how many it is written while more are read.
_WORTH_KEEPING, _SAVED_AT = 200, 100_000


class ScorecardReader:
    """Reads the sums of an environment; each call reads only events that are new.

    `empty` are those of no event, `book` prices the work of environments without recorded prices. `kept` is
    the file in which they are kept; without one, or where it can't be written, each reader begins with the
    events of the last 28 weeks, and what they depend on. UsageError for an unknown time zone.
    """

    def __init__(
        self, ledger: Ledger, empty: ScorecardSums, book: PriceBook, kept: Path | None = None
    ) -> None:
        time_zone(empty.zone)
        self._ledger, self._empty, self._book, self._kept = ledger, empty, book, kept
        self._known: ScorecardSums | None = None

    def read(self, now: float) -> ScorecardSums:
        """The sums as of now (Unix seconds); the caller must not change them."""
        prices = self._prices()
        found = self._known or self._load()
        if found is None or not found.is_priced_by(prices):
            found = self._begin(now, prices)
        before = found.events
        for fact, at_that_time in priced_events(
            self._ledger, SCORECARD_KINDS, found.seq, self._prices
        ):
            found.add(fact, at_that_time)
            if found.events - before >= _SAVED_AT:
                # A long history that is interrupted goes on there.
                write_kept(self._kept, _FORMAT, found)
                before = found.events
        # A clock that runs ahead for a while must not make it forget what happened lately.
        found.prune(min(now, found.at))
        if found.events - before >= _WORTH_KEEPING:
            write_kept(self._kept, _FORMAT, found)
        self._known = found
        return found

    def _prices(self) -> PriceHistories:
        return recorded_histories(self._ledger, self._book)

    def _begin(self, now: float, prices: PriceHistories) -> ScorecardSums:
        after = find_window(self._ledger, now - HORIZON_S)
        found = replace(deepcopy(self._empty), seq=after)
        for fact in earlier_facts(self._ledger, found.environment, after):
            found.add_earlier(fact, prices)
        return found

    def _load(self) -> ScorecardSums | None:
        """What was kept, if it is of this ledger, environment and settings."""
        found = read_kept(self._kept, _FORMAT, ScorecardSums)
        if found is None or _settings_of(found) != _settings_of(self._empty):
            return None
        return found if self._is_recorded(found) else None

    def _is_recorded(self, found: ScorecardSums) -> bool:
        """Whether the last event that was read is in the ledger: it may be another, or an older copy."""
        facts = self._ledger.events(kinds=SCORECARD_KINDS, after=found.seq - 1, limit=1)
        last = next(iter(facts), None)
        return last is not None and (last.seq, last.at) == (found.seq, found.at)


def _settings_of(sums: ScorecardSums) -> tuple[object, ...]:
    return sums.environment, sums.zone, sums.costs.currency
