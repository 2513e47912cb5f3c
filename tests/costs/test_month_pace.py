"""What a month will cost if it goes on as it did."""

from __future__ import annotations

import pytest

from tidemill.core.local_day import day_start
from tidemill.costs.month_pace import month_pace


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Auckland"])
def test_spending_goes_on_as_it_did(zone: str) -> None:
    assert month_pace(10.0, day_start("2026-11-16", zone), zone) == pytest.approx(20.0)
    assert month_pace(0.0, day_start("2026-11-16", zone), zone) == 0.0


def test_the_first_days_say_nothing() -> None:
    assert month_pace(10.0, day_start("2026-11-02", "UTC"), "UTC") is None
    assert month_pace(2.0, day_start("2026-11-03", "UTC"), "UTC") == pytest.approx(30.0)
