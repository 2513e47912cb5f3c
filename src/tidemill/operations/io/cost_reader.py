"""Read what a workflow costs from its ledger, and keep the sums for the next command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tidemill.costs.ledger_costs import COST_KINDS, LedgerCosts
from tidemill.costs.price_history import PriceHistories, price_histories
from tidemill.ledger.cost_events import PricesSet
from tidemill.ledger.price import PriceBook
from tidemill.operations.io.kept_state import read_kept, write_kept
from tidemill.ports.ledger import Ledger

# Changes with the meaning of what is kept.
_FORMAT = 2
# New events that are worth writing the file, and after how many it is written while more are read.
_WORTH_KEEPING, _SAVED_AT = 200, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeptCosts:
    """Sums, and the books that price what is in them by environment and was before any book."""

    costs: LedgerCosts
    firsts: dict[str, PriceBook] = field(default_factory=dict)


class CostReader:
    """Reads the costs of all environments of a workflow; each call reads only events that are new.

    `settings` price what no recorded book does. `kept` is the file in which sums are kept.
    """

    def __init__(
        self, ledger: Ledger, *, zone: str, settings: PriceBook, kept: Path | None = None
    ) -> None:
        self._ledger = ledger
        self._zone = zone
        self._settings = settings
        self._kept = kept
        self._known: _KeptCosts | None = None

    def prices(self) -> PriceHistories:
        """The recorded prices of all environments."""
        return price_histories(
            self._ledger.events(kinds=(PricesSet.__name__,)), settings=self._settings
        )

    def read(self) -> LedgerCosts:
        """The costs as of now; the caller must not change them."""
        prices = self.prices()
        found = self._go_on(self._known or read_kept(self._kept, _FORMAT, _KeptCosts), prices)
        before = found.events
        for fact in self._ledger.events(kinds=COST_KINDS, after=found.seq):
            found.note(fact, prices)
            if found.events - before >= _SAVED_AT:
                self._save(found, prices)
                before = found.events
        if found.events - before >= _WORTH_KEEPING:
            self._save(found, prices)
        self._known = _with_firsts(found, prices)
        return found

    def _go_on(self, kept: _KeptCosts | None, prices: PriceHistories) -> LedgerCosts:
        """The sums to go on with: those that are kept, if they are of this ledger and these prices."""
        if kept is not None and kept.costs.zone == self._zone:
            same = all(prices.of(name).first == book for name, book in kept.firsts.items())
            if same and self._is_recorded(kept.costs):
                return kept.costs
        return LedgerCosts(zone=self._zone)

    def _is_recorded(self, costs: LedgerCosts) -> bool:
        """Whether the last event that was read is in the ledger: it may be another, or an older copy."""
        facts = self._ledger.events(kinds=COST_KINDS, after=costs.seq - 1, limit=1)
        last = next(iter(facts), None)
        return not costs.seq or (last is not None and (last.seq, last.at) == (costs.seq, costs.at))

    def _save(self, costs: LedgerCosts, prices: PriceHistories) -> None:
        write_kept(self._kept, _FORMAT, _with_firsts(costs, prices))


def _with_firsts(costs: LedgerCosts, prices: PriceHistories) -> _KeptCosts:
    charged = {*costs.days, *(run.environment for run in costs.open_runs.values())}
    return _KeptCosts(costs=costs, firsts={name: prices.of(name).first for name in charged})
