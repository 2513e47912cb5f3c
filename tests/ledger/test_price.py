"""Prices of what computing uses."""

from tidemill.ledger.price import Price


def test_hours_cost_what_they_are_priced_at() -> None:
    assert Price().of(3600) == 0.0
    assert Price(cpu_hour=0.5, currency="EUR").of(7200) == 1.0
    assert Price(memory_gb_hour=0.1).of(0.0, 36_000) == 1.0
