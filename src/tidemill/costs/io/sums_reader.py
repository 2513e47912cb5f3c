"""Read from a ledger what was spent, and keep the sums for the next command.

Losing the file in which they are kept costs only the time to read the events again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.io.kept_state import read_kept, write_kept
from tidemill.costs.io.recorded_prices import recorded_histories
from tidemill.costs.ledger_costs import COST_KINDS, LedgerCosts
from tidemill.costs.price_history import PriceHistories
from tidemill.costs.spending import SPENDING_EVENTS, Spending
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.price import PriceBook
from tidemill.ports.ledger import Ledger

# Changes with the meaning of what is kept.
_FORMAT = 4
# New events that are worth writing the file, and after how many it is written while more are read.
_WORTH_KEEPING, _SAVED_AT = 200, 100_000


class LedgerSums(Protocol):
    """Sums up to event `seq`, which was recorded at `at`, of so many `events`, by the days of `zone`."""

    zone: str
    seq: int
    at: float
    events: int

    def note(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        """Add an event."""

    def priced(self) -> Iterable[str]:
        """The environments whose prices the sums depend on."""


Sums = TypeVar("Sums", bound=LedgerSums)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptSums(Generic[Sums]):
    """Sums, and the books that price what is in them, by environment, and was before any book."""

    sums: Sums
    firsts: dict[str, PriceBook] = field(default_factory=dict)


class SumsReader(ABC, Generic[Sums]):
    """Reads sums of all environments of a workflow; each call reads only events that are new.

    Days and months are those of the time `zone`; `settings` price what no recorded book does. `kept` is the
    file in which sums are kept; where that can't be written, each reader begins with the first event.
    """

    _stored: type[_KeptSums[Sums]]
    _kinds: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        ledger: Ledger,
        *,
        zone: str = "UTC",
        settings: PriceBook | None = None,
        kept: Path | None = None,
    ) -> None:
        self._ledger = ledger
        self._zone = zone
        self._settings = settings or PriceBook()
        self._kept = kept
        self._known: _KeptSums[Sums] | None = None

    def prices(self) -> PriceHistories:
        """The recorded prices of all environments."""
        return recorded_histories(self._ledger, self._settings)

    def read(self) -> Sums:
        """The sums as of now; the caller must not change them."""
        known = self._known or read_kept(self._kept, _FORMAT, self._stored)
        while True:
            prices = self.prices()
            found, is_whole = self._read_on(known, prices)
            known = self._known = _with_firsts(found, prices)
            if is_whole:
                return found

    def _read_on(self, known: _KeptSums[Sums] | None, prices: PriceHistories) -> tuple[Sums, bool]:
        """Add new events, and whether these are all: what follows on newer prices costs what they say."""
        found = self._go_on(known, prices)
        before, is_whole = found.events, True
        kinds = (*self._kinds, PricesSet.__name__)
        for fact in self._ledger.events(kinds=kinds, after=found.seq):
            if isinstance(fact.event, PricesSet):
                is_whole = fact.seq <= prices.last
                if not is_whole:
                    break
                continue
            found.note(fact, prices)
            if found.events - before >= _SAVED_AT:
                # A long history that is interrupted goes on there.
                self._save(found, prices)
                before = found.events
        if found.events - before >= _WORTH_KEEPING:
            self._save(found, prices)
        return found, is_whole

    def _go_on(self, known: _KeptSums[Sums] | None, prices: PriceHistories) -> Sums:
        """The sums to go on with: those that are known, if they are of this ledger and these prices."""
        if known is not None and known.sums.zone == self._zone:
            same = all(prices.of(name).first == book for name, book in known.firsts.items())
            if same and self._is_recorded(known.sums):
                return known.sums
        return self._new()

    @abstractmethod
    def _new(self) -> Sums:
        """Sums of nothing."""

    def _is_recorded(self, found: Sums) -> bool:
        """Whether the last event that was read is in the ledger: it may be another, or an older copy."""
        facts = self._ledger.events(kinds=self._kinds, after=found.seq - 1, limit=1)
        last = next(iter(facts), None)
        return not found.seq or (last is not None and (last.seq, last.at) == (found.seq, found.at))

    def _save(self, found: Sums, prices: PriceHistories) -> None:
        write_kept(self._kept, _FORMAT, _with_firsts(found, prices))


class CostReader(SumsReader[LedgerCosts]):
    """Reads what a workflow costs, by line and day."""

    _stored = _KeptSums[LedgerCosts]
    _kinds = COST_KINDS

    def _new(self) -> LedgerCosts:
        return LedgerCosts(zone=self._zone)


class SpendingReader(SumsReader[Spending]):
    """Reads what the environments of a workflow spent, by month, for budgets."""

    _stored = _KeptSums[Spending]
    _kinds = SPENDING_EVENTS

    def _new(self) -> Spending:
        return Spending(zone=self._zone)


def _with_firsts(found: Sums, prices: PriceHistories) -> _KeptSums[Sums]:
    return _KeptSums(sums=found, firsts={name: prices.of(name).first for name in found.priced()})
