"""Draw what was spent by day, from a document of the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from typing import Any

from tidemill.console.page_series import (
    PageSeries,
    SeriesChart,
    SeriesLine,
    day_times,
    draw_series,
)
from tidemill.core.counts import money_text, plural
from tidemill.core.figures import seconds
from tidemill.drawing.svg import Hue
from tidemill.scorecard.number_plot import scale_of_lengths, scale_of_money
from tidemill.workflow.score_charts import HUES

_CPU = "CPU time"
_REST = "all others"
_LEAST = 1e-9


def cost_charts(document: Mapping[str, Any]) -> list[SeriesChart]:
    """Draw the costs of all days in each unit: together, and of what costs most; nothing for one day."""
    if len(document["dates"]) < 2:
        return []
    found: dict[str, dict[str, float]] = {}
    for row in document["by_day"]:
        for part in row["parts"]:
            found.setdefault(part["unit"], {})[row["key"]] = part["amount"]
    return [_chart(document, unit, found[unit]) for unit in sorted(found)]


def _chart(document: Mapping[str, Any], unit: str, known: Mapping[str, float]) -> SeriesChart:
    dates = document["dates"]
    whole = [known.get(day, 0.0) for day in dates]
    factor, label = (
        scale_of_lengths(max(whole)) if unit == _CPU else scale_of_money(max(whole), unit)
    )
    series = PageSeries(
        label=label,
        times=day_times(dates) or (),
        lines=tuple(
            SeriesLine(
                name=name,
                values=tuple(amount / factor for amount in amounts),
                texts=tuple(_text(amount, unit) for amount in amounts),
                hue=Hue.GREY if name == _REST else hue,
            )
            for hue, (name, amounts) in zip(HUES, _parts(document, unit, whole), strict=False)
        ),
        from_zero=True,
        are_stacked=True,
        totals=tuple(_text(amount, unit) for amount in whole),
    )
    most = max(range(len(dates)), key=lambda number: whole[number])
    return draw_series(
        series,
        title="CPU time by day" if unit == _CPU else "Costs by day",
        description=f"{plural(len(dates), 'day')}, most on {dates[most]}: {series.totals[most]}",
    )


def _parts(
    document: Mapping[str, Any], unit: str, whole: Sequence[float]
) -> Iterator[tuple[str, Sequence[float]]]:
    """The amounts of what costs most by day, and of all the rest."""
    groups = [(each["key"], each["amounts"]) for each in document["daily"] if each["unit"] == unit]
    yield from groups
    sums = map(fsum, zip(*(amounts for _, amounts in groups), strict=True))
    rest = [total - known for total, known in zip(whole, sums, strict=True)] if groups else whole
    # What is left of a difference of equal sums is no amount.
    if fsum(rest) > _LEAST * fsum(whole):
        yield _REST if groups else "all", [max(each, 0.0) for each in rest]


def _text(amount: float, unit: str) -> str:
    if not amount:
        return ""
    return seconds(amount) if unit == _CPU else money_text(amount, unit)
