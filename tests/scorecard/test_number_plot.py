"""How numbers went, as charts."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.scorecard.number import NumberPoint, NumberUnit, ScoreNumber
from tidemill.scorecard.number_plot import number_plot, plot_chart


def number(unit: NumberUnit, *values: float | None, **terms: Any) -> ScoreNumber:
    points = tuple(
        NumberPoint(first=f"2026-11-{day:02}", value=value, n=day)
        for day, value in enumerate(values, 1)
    )
    return ScoreNumber(
        name="n", title="N", unit=unit, counted="case", points=points, currency="EUR", **terms
    )


@pytest.mark.parametrize(
    ("unit", "values", "target", "label", "drawn"),
    [
        (NumberUnit.SECONDS, (30.0, None, 60.0), None, "seconds", (30.0, None, 60.0)),
        (NumberUnit.SECONDS, (300.0,), None, "minutes", (5.0,)),
        # The target is drawn as well.
        (NumberUnit.SECONDS, (3_600.0,), 2 * 86_400.0, "days", (1 / 24,)),
        (NumberUnit.SECONDS, (3 * 3_600.0,), None, "hours", (3.0,)),
        (NumberUnit.MONEY, (2.0,), 1.0, "EUR", (2.0,)),
        (NumberUnit.MONEY, (6e-7,), None, "millionths of 1 EUR", (0.6,)),
        (NumberUnit.SHARE, (0.95,), 0.99, "EUR", (0.95,)),
    ],
)
def test_units_fit_what_is_drawn(
    unit: NumberUnit,
    values: tuple[float | None, ...],
    target: float | None,
    label: str,
    drawn: tuple[float | None, ...],
) -> None:
    plot = number_plot(number(unit, *values, target=target))
    assert plot is not None
    assert (plot.label, plot.is_share) == (label, unit is NumberUnit.SHARE)
    assert plot.values == pytest.approx(drawn, nan_ok=True) or plot.values == drawn
    chart = plot_chart(plot)
    assert ('class="reference"' in chart.svg) == (target is not None)
    assert chart.drawing.markup.count("<circle") == sum(value is not None for value in values)


def test_weeks_without_data_are_left_out_of_what_is_spoken() -> None:
    plot = number_plot(number(NumberUnit.SECONDS, 30.0, None))
    assert plot is not None
    assert plot.hints == ("2026-11-01: 30 s (1 case)", "2026-11-02: n/a (2 cases)")
    assert plot_chart(plot).description == "N: 2026-11-01: 30 s (1 case)"


def test_without_any_value_there_is_nothing_to_draw() -> None:
    assert number_plot(number(NumberUnit.SECONDS, None, None)) is None
