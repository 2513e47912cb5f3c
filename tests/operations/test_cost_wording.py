"""Costs in words."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.costs.cost_line import CostLine
from tidemill.costs.day_range import DayRange
from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.costs.quantities import Quantities
from tidemill.costs.report import CostReport, GroupBy
from tidemill.ledger.price import HOUR_S, MONTH_S, Price
from tidemill.operations.cost_wording import (
    COST_HEADERS,
    NO_PRICE,
    amounts_text,
    cost_cells,
    cost_notes,
    days_text,
    price_lines,
)

# 2024-03-01 in UTC, and the day after in Auckland.
NOW = 1_709_292_600.0


def line_of(used: Quantities, price: Price | None = None, **terms: Any) -> CostLine:
    found = CostLine(events=1)
    found.charge(used, price or Price(cpu_hour=3600.0, currency="EUR"), **terms)
    return found


def report(**terms: Any) -> CostReport:
    values: dict[str, Any] = {
        "by": GroupBy.STAGE, "days": DayRange(first="2024-02-01", last="2024-03-01"), "zone": "UTC",
        "now": NOW, "environments": ("prod",), "rows": (), "total": CostLine(), "is_priced": True,
        **terms,
    }  # fmt: skip
    return CostReport(**values)


def test_what_was_used_stands_beside_what_it_cost() -> None:
    used = Quantities(
        cpu_s=2.0, memory_gb_s=2 * HOUR_S, gpu_s=5.0, storage_gb_s=MONTH_S, egress_gb=0.5,
        units={"calls": 3.0, "a\u202eb": 1.0},
    )  # fmt: skip
    cells = dict(zip(COST_HEADERS, cost_cells(line_of(used, has_failed=True)), strict=True))
    assert cells == {
        ">attempts": "1", ">CPU": "2.00 s", ">memory": "2.0 GB h", ">GPU": "5.00 s",
        ">storage": "1 GB months", ">sent": "500 MB", ">units": "1 a\\u202eb, 3 calls",
        ">of it failed": "2.00 EUR", ">of it shared": "-", ">cost": "2.00 EUR",
    }  # fmt: skip
    assert set(cost_cells(CostLine())) == {"-"}
    assert cost_cells(line_of(Quantities(memory_gb_s=1.5)))[2] == "1.5 GB s"
    assert cost_cells(line_of(Quantities(memory_gb_s=5e-5)))[2] == "<0.001 GB s"


def test_currencies_are_never_added_up() -> None:
    assert amounts_text({"USD": 2.0, "EUR": 1.0, "CHF": 0.0}) == "1.00 EUR + 2.00 USD"
    assert amounts_text({}) == "-"


def test_days_that_last_until_now_have_no_end() -> None:
    assert days_text(report()) == "since 2024-02-01"
    assert days_text(report(days=DayRange(first="2024-03-01", last="2024-03-31"))) == (
        "since 2024-03-01"
    )
    assert days_text(report(zone="Pacific/Auckland")) == "from 2024-02-01 to 2024-03-01"


def test_what_has_to_be_said_is_said() -> None:
    total = line_of(Quantities(cpu_s=1.0), is_shared=True)
    total.merge(line_of(Quantities(cpu_s=1.0), Price(cpu_hour=1.0, currency="USD")))
    notes = [*cost_notes(report(total=total, unpriced=("<b>",), is_priced=False))]
    assert notes[0] == NO_PRICE
    assert notes[1].startswith("prices were in several currencies")
    assert notes[2] == "no price is set for <b>: they cost nothing"
    assert len(notes) == 3
    (note,) = cost_notes(report(total=line_of(Quantities(cpu_s=1.0), is_shared=True)))
    assert note.startswith("metered: CPU")
    assert [*cost_notes(report())] == []


@pytest.mark.parametrize(("bias", "side"), [(-0.05, "low"), (0.05, "high")])
def test_errors_of_estimates_have_a_side(bias: float, side: str) -> None:
    errors = EstimateErrors(runs=2, median_error=0.12, bias=bias)
    (note,) = cost_notes(report(estimates=errors))
    assert note == (
        "of the last 2 runs half were estimated within 12% of their costs; "
        f"the estimate in the middle was 5% too {side}"
    )


def test_prices_are_of_something() -> None:
    price = Price(
        cpu_hour=0.04, memory_gb_hour=0.005, gpu_hour=2.0, storage_gb_month=0.02, egress_gb=0.09,
        units={"calls": 0.5, "free": 0.0}, currency="EUR",
    )  # fmt: skip
    assert [*price_lines(price)] == [
        ("an hour of a CPU", "0.04 EUR"), ("a gigabyte of memory for an hour", "0.005 EUR"),
        ("an hour of a GPU", "2.00 EUR"), ("a gigabyte stored for a month", "0.02 EUR"),
        ("a gigabyte sent", "0.09 EUR"), ("one of calls", "0.50 EUR"),
    ]  # fmt: skip
    assert [*price_lines(Price())] == []
