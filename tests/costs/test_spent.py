"""Amounts of what work used."""

from __future__ import annotations

from tidemill.costs.quantities import Quantities
from tidemill.costs.spent import Spent, spent_of
from tidemill.ledger.price import Price
from tidemill.workflow.spending_limit import SpendingLimit


def test_amounts() -> None:
    one = Spent(cpu_s=1_800.0, memory_gb_s=7_200.0, gpu_s=60.0, external=0.25)
    other = Spent(cpu_s=3_600.0, external=0.5)
    assert one + other == Spent(cpu_s=5_400.0, memory_gb_s=7_200.0, gpu_s=60.0, external=0.75)
    assert one.most(other) == Spent(cpu_s=3_600.0, memory_gb_s=7_200.0, gpu_s=60.0, external=0.5)
    assert one.without(other) == Spent(memory_gb_s=7_200.0, gpu_s=60.0)
    price = Price(cpu_hour=2.0, memory_gb_hour=0.5, gpu_hour=6.0)
    assert one.money(price) == 1.0 + 1.0 + 0.1 + 0.25
    assert one.share_of(SpendingLimit(amount=9.0), price) == one.money(price)
    assert one.share_of(SpendingLimit(amount=9.0, in_cpu_hours=True), price) == 0.5
    assert one.times(2.0) == one + one


def test_what_quantities_take() -> None:
    used = Quantities(
        cpu_s=1.0, memory_gb_s=2.0, gpu_s=3.0, egress_gb=4.0, units={"calls": 5.0}, spent=6.0
    )
    price = Price(cpu_hour=9.0, egress_gb=0.5, units={"calls": 0.1})
    found = spent_of(used, price)
    assert found == Spent(cpu_s=1.0, memory_gb_s=2.0, gpu_s=3.0, external=2.0 + 0.5 + 6.0)
    assert found.money(price) == used.cost(price)
