"""What environments cost by day."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given

from tests.costs.test_ledger_costs import History, histories, read
from tidemill.costs.cost_line import CostLine, total_line
from tidemill.costs.day_range import DayRange
from tidemill.costs.day_totals import DayTotals
from tidemill.costs.ledger_costs import LedgerCosts
from tidemill.costs.price_history import price_histories
from tidemill.ledger.price import PriceBook

ALL = DayRange(first="", last="9999-12-31")


def fresh(costs: LedgerCosts, within: DayRange = ALL) -> Mapping[str, Mapping[str, CostLine]]:
    return DayTotals().read(costs, within)


@given(histories())
def test_totals_are_those_of_all_lines_whenever_they_are_read(history: History) -> None:
    prices = price_histories(history.facts, PriceBook())
    costs, totals = LedgerCosts(zone="UTC"), DayTotals()
    for fact in history.facts:
        costs.note(fact, prices)
        found = totals.read(costs, ALL)
        assert found == fresh(costs)
        assert found == {
            environment: {
                day: total_line(line for named in kinds.values() for line in named.values())
                for day, kinds in days.items()
            }
            for environment, days in costs.days.items()
        }


@given(histories(), histories())
def test_totals_of_other_sums_are_others(history: History, other: History) -> None:
    totals = DayTotals()
    totals.read(read(history), ALL)
    found = read(other)
    assert totals.read(found, ALL) == fresh(found)


def test_days_outside_are_left_out_and_unchanged_ones_are_not_added_up_again() -> None:
    days = {
        "2026-02-01": {"stage": {"a": CostLine(events=1)}},
        "2026-02-02": {"run": {"": CostLine()}},
    }
    costs, totals = LedgerCosts(zone="UTC", days={"prod": days}), DayTotals()
    one = DayRange(first="2026-02-01", last="2026-02-01")
    first = totals.read(costs, one)
    assert [*first["prod"]] == ["2026-02-01"]
    assert totals.read(costs, ALL)["prod"]["2026-02-01"] is first["prod"]["2026-02-01"]
    costs.changed["prod"] = {"2026-02-01": 7}
    assert totals.read(costs, ALL)["prod"]["2026-02-01"] is not first["prod"]["2026-02-01"]
