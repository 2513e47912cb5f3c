"""Draw how a number of the scorecard went: its last weeks as a line, with its target."""

from __future__ import annotations

from datetime import UTC, datetime
from math import nan

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line, ReferenceLine
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.svg import Hue
from tidemill.scorecard.number import NumberUnit, ScoreNumber
from tidemill.scorecard.wording import value_text

_WIDTH, _HEIGHT = 320.0, 110.0
# Labels of smaller amounts have too many zeros.
_SMALL_MONEY = 1e-3
_LENGTHS = ((2 * 86_400.0, 86_400.0, "days"), (2 * 3_600.0, 3_600.0, "hours"),
            (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberPlot:
    """What is drawn of a number: a value (None: no data) and a hint for the week from each of the `days`.

    The values and the `target` are in the unit `label`; a share has none, and needs no zero.
    """

    title: str
    label: str
    is_share: bool
    days: tuple[str, ...]
    values: tuple[float | None, ...]
    hints: tuple[str, ...]
    target: float | None = None


def number_plot(number: ScoreNumber) -> NumberPlot | None:
    """What to draw of the last weeks of a number; None without any value."""
    known = [point.value for point in number.points if point.value is not None]
    if not known:
        return None
    factor, label = _scale_of(number, [*known, number.target or 0.0])
    return NumberPlot(
        title=number.title,
        label=label,
        is_share=number.unit is NumberUnit.SHARE,
        days=tuple(point.first for point in number.points),
        values=tuple(
            None if point.value is None else point.value / factor for point in number.points
        ),
        hints=tuple(
            f"{point.first}: {value_text(number, point.value)} ({plural(point.n, number.counted)})"
            for point in number.points
        ),
        target=None if number.target is None else number.target / factor,
    )


def plot_chart(plot: NumberPlot) -> Chart:
    """The chart of a plot; its description has all values."""
    days = [datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in plot.days]
    values = [nan if value is None else value for value in plot.values]
    layers: list[PanelLayer] = [Line(x=days, y=values, hints=plot.hints)]
    if plot.target is not None:
        goal = plot.target
        layers.insert(0, ReferenceLine(start=(days[0], goal), end=(days[-1], goal), hue=Hue.AMBER))
    drawing = draw_panel(
        layers,
        x=Axis(measure=Measure.DAY, padding=0.02),
        y=Axis(
            label=plot.label,
            measure=Measure.SHARE if plot.is_share else Measure.NUMBER,
            zero=not plot.is_share,
        ),
        width=_WIDTH,
        height=_HEIGHT,
    )
    spoken = "; ".join(
        hint for hint, value in zip(plot.hints, plot.values, strict=True) if value is not None
    )
    return Chart(title="by week", drawing=drawing, description=f"{plot.title}: {spoken}")


def _scale_of(number: ScoreNumber, values: list[float]) -> tuple[float, str]:
    if number.unit is NumberUnit.SECONDS:
        return scale_of_lengths(max(values))
    if number.unit is NumberUnit.MONEY:
        return scale_of_money(max(values), number.currency)
    return 1.0, number.currency


def scale_of_lengths(most: float) -> tuple[float, str]:
    """The unit in which lengths of up to so many seconds are drawn: its seconds, and its name."""
    return next((factor, unit) for least, factor, unit in _LENGTHS if most >= least)


def scale_of_money(most: float, currency: str) -> tuple[float, str]:
    """The unit in which amounts of up to so much are drawn: its part of the currency, and its name."""
    if most < _SMALL_MONEY:
        return 1e-6, f"millionths of 1 {currency}".rstrip()
    return 1.0, currency
