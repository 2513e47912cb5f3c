"""What whole environments cost by day, added up again only for the days that changed."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.costs.cost_line import CostLine, total_line
from tidemill.costs.day_range import DayRange
from tidemill.costs.ledger_costs import LedgerCosts


class DayTotals:
    """Adds up all lines of a day in an environment, and remembers that for the days that were asked for.

    A total counts until an event changes a line of its day: `LedgerCosts` has the number of the last one.
    """

    def __init__(self) -> None:
        self._costs: LedgerCosts | None = None
        self._known: dict[tuple[str, str], tuple[int, CostLine]] = {}

    def read(self, costs: LedgerCosts, within: DayRange) -> Mapping[str, Mapping[str, CostLine]]:
        """The totals of some days by environment; the caller must not change them."""
        known = self._known if costs is self._costs else {}
        self._costs, self._known = costs, {}
        found: dict[str, dict[str, CostLine]] = {}
        for environment, days in sorted(costs.days.items()):
            changed = costs.changed.get(environment, {})
            for day in filter(within.contains, sorted(days)):
                own, seq = (environment, day), changed.get(day, 0)
                if own not in known or known[own][0] != seq:
                    lines = (line for each in days[day].values() for line in each.values())
                    known[own] = seq, total_line(lines)
                self._known[own] = known[own]
                found.setdefault(environment, {})[day] = known[own][1]
        return found
