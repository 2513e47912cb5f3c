"""Lines of costs."""

from __future__ import annotations

from tidemill.costs.cost_line import CostLine
from tidemill.costs.quantities import Quantities
from tidemill.ledger.price import Price

EUR, USD = (Price(cpu_hour=3600.0, currency=currency) for currency in ("EUR", "USD"))


def test_currencies_are_never_added() -> None:
    line = CostLine(events=1, rows=2)
    line.charge(Quantities(cpu_s=1.0), EUR)
    line.charge(Quantities(cpu_s=2.0), USD, is_shared=True)
    other = CostLine(events=2, rows=3)
    other.charge(Quantities(cpu_s=4.0), EUR, has_failed=True)
    line.merge(other)
    assert line == CostLine(
        used=Quantities(cpu_s=7.0),
        amounts={"EUR": 5.0, "USD": 2.0},
        shared={"USD": 2.0},
        failed={"EUR": 4.0},
        events=3,
        rows=5,
    )
