"""Costs are drawn by day, in each unit, with what costs most apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tidemill.console.cost_charts import cost_charts

DATES = ["2026-11-01", "2026-11-02", "2026-11-03"]


def document(
    whole: Mapping[str, Sequence[float]], daily: Mapping[str, Sequence[float]], unit: str = "EUR"
) -> dict[str, Any]:
    """What the API says of some days; `daily` are the amounts of the first rows in a unit."""
    by_day = [
        {
            "key": day,
            "parts": [
                {"unit": name, "amount": amounts[number]}
                for name, amounts in whole.items()
                if amounts[number]
            ],
        }
        for number, day in enumerate(DATES)
    ]
    groups = [{"key": key, "unit": unit, "amounts": list(each)} for key, each in daily.items()]
    return {"dates": DATES, "by_day": by_day, "daily": groups}


def test_what_costs_most_stands_below_all_others() -> None:
    [drawn] = cost_charts(document({"EUR": [5, 0, 8]}, {"model": [3, 0, 4], "sales": [1, 0, 4]}))
    assert [line.name for line in drawn.series.lines] == ["model", "sales", "all others"]
    assert drawn.series.lines[2].values == (1.0, 0.0, 0.0)
    assert drawn.series.lines[0].texts == ("3.00 EUR", "", "4.00 EUR")
    assert drawn.series.totals == ("5.00 EUR", "", "8.00 EUR")
    assert drawn.chart.description == "3 days, most on 2026-11-03: 8.00 EUR"


def test_rounding_is_no_cost_of_others() -> None:
    [drawn] = cost_charts(document({"EUR": [0.3, 0.0, 0.1]}, {"a": [0.1 + 0.2, 0.0, 0.1]}))
    assert [line.name for line in drawn.series.lines] == ["a"]


def test_days_as_rows_are_drawn_whole() -> None:
    [drawn] = cost_charts(document({"EUR": [5, 0, 8]}, {}))
    assert [line.name for line in drawn.series.lines] == ["all"]


def test_each_unit_has_a_chart_with_its_own_scale() -> None:
    found = cost_charts(document({"USD": [0, 5e-6, 0], "EUR": [1, 2, 3]}, {"a": [1, 2, 3]}))
    assert [drawn.series.label for drawn in found] == ["EUR", "millionths of 1 USD"]
    assert found[1].series.lines[0].values == pytest.approx((0.0, 5.0, 0.0))
    [cpu] = cost_charts(document({"CPU time": [7200, 90_000, 60]}, {}))
    assert (cpu.chart.title, cpu.series.label) == ("CPU time by day", "hours")
    assert cpu.series.totals[2] == "60.0 s"


def test_one_day_alone_is_not_drawn() -> None:
    assert cost_charts({"dates": DATES[:1], "by_day": [], "daily": []}) == []
    assert cost_charts({"dates": [], "by_day": [], "daily": []}) == []
