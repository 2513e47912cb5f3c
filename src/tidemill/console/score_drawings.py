"""Draw the scores of versions as documents of the API have them, in which NaN is null."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite, isnan, nan
from typing import Any, TypeAlias

from tidemill.console.page_series import (
    PageSeries,
    SeriesChart,
    SeriesLine,
    day_times,
    draw_series,
)
from tidemill.core.counts import plural
from tidemill.drawing.axes import Axis
from tidemill.drawing.chart import Chart
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.rows import LabelledRow, MarkerLine, Measured, RowChart, RowSeries
from tidemill.drawing.svg import Hue
from tidemill.workflow.gate import Daily, Scores
from tidemill.workflow.score_charts import HUES, curve_chart, daily_chart

# A document of a `ScoreCard`, and one of something that was compared.
Card: TypeAlias = Mapping[str, Any]
Compared: TypeAlias = Mapping[str, Any]
_MOST_ROWS = 20
_MOST_FIGURES = 4
_MOST_LETTERS = 24


def score_charts(cards: Mapping[str, Card]) -> list[Chart | SeriesChart]:
    """Draw the scores of one version (its name is empty), or of several by name, of the same evaluation."""
    first = next(iter(cards.values()))
    found = list[Chart | SeriesChart]()
    metric = next((each["name"] for each in first["metrics"] if each["value"] is not None), "")
    scores = {name: _scores(card) for name, card in cards.items()}
    daily = scores[next(iter(cards))].daily
    if len(cards) == 1 and metric and daily is not None and metric in daily.metrics:
        found.append(_daily_chart(next(iter(scores.values())), daily, metric))
    if metric and first["slices"]:
        found.append(_slice_chart(cards, metric))
    for name, columns in first["curves"].items():
        shared = {each: own for each, own in scores.items() if name in own.curves}
        if any(columns.values()):
            found.append(curve_chart(shared, name))
    return found


def version_charts(versions: Sequence[Mapping[str, Any]]) -> list[SeriesChart]:
    """Draw each figure of versions, newest first, over the times of their training: those with two values.

    Only versions that were scored on the same rows as the newest one are compared.
    """
    names = dict.fromkeys(name for each in versions for name in each["figures"])
    found = list[SeriesChart]()
    for name in names:
        scored = [each for each in versions if each["figures"].get(name) is not None]
        rows = scored[0]["scored"][name]
        known = [
            each for each in reversed(scored) if each["scored"][name]["digest"] == rows["digest"]
        ]
        if len(known) < 2:
            continue
        values = tuple(each["figures"][name] for each in known)
        texts = tuple(
            f"{value:.4g}, version {each['version']}"
            for each, value in zip(known, values, strict=True)
        )
        series = PageSeries(
            label=name,
            times=tuple(each["trained_at"] for each in known),
            lines=(SeriesLine(name=name, values=values, texts=texts),),
            are_days=False,
        )
        same = f"scored on the same {plural(rows['rows'], 'row')}"
        days = f" of {rows['days']}" if rows["days"] else ""
        found.append(
            draw_series(
                series,
                title=f"{name} by version",
                subtitle=f"when each was trained; all {same}{days}",
                description=f"{name} of versions {same}{days}, the oldest first: {'; '.join(texts)}",
            )
        )
    return found[:_MOST_FIGURES]


def gain_chart(compared: Iterable[Compared], metric: str, version: str) -> Chart | None:
    """Draw by how much a version is better in a metric: over all rows, then by slice, the worst first."""
    known = [each for each in compared if each["metric"] == metric and each["gain"] is not None]
    if not known:
        return None
    overall = [each for each in known if not each["slice"]]
    slices = sorted((each for each in known if each["slice"]), key=lambda each: each["gain"])
    rows = [
        LabelledRow(
            label=each["slice"] or f"all rows ({each['stage']})",
            values=[_measured_value(each["gain"], each["interval"])],
            note=plural(each["rows"], "row"),
        )
        for each in (*overall, *slices)[:_MOST_ROWS]
    ]
    left = len(known) - len(rows)
    return Chart(
        title=f"Gain in {metric}",
        subtitle=f"right of zero {version} is better; whiskers are 95 % intervals over days",
        drawing=draw_dots(
            RowChart(
                rows=rows, axis=Axis(label="gain (below zero: worse)", zero=True), markers=[_ZERO]
            )
        ),
        description=f"Gain in {metric}: "
        + "; ".join(
            f"{each['slice'] or 'all rows'} {each['gain']:+.4g}" for each in known[:_MOST_ROWS]
        ),
        notes=(f"{plural(left, 'slice')} with a greater gain not drawn.",) if left else (),
    )


_ZERO = MarkerLine(value=0.0, hue=Hue.GREY)


def moved_chart(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Chart | None:
    """Draw the rows whose prediction moves most, as their table has them; None for classes."""
    names = [header.removeprefix(">") for header in headers]
    if not {"live", "candidate"} <= {*names}:
        return None
    live, candidate = names.index("live"), names.index("candidate")
    drawn = list[LabelledRow]()
    for row in rows[:_MOST_ROWS]:
        pair = [_number(row[live]), _number(row[candidate])]
        if None in pair:
            return None
        values = [Measured(value=each) for each in pair if each is not None]
        drawn.append(LabelledRow(label=_label(row[:live]), values=values))
    if not drawn:
        return None
    series = [
        RowSeries(name="live", hue=HUES[1], hollow=True),
        RowSeries(name="candidate", hue=HUES[0]),
    ]
    return Chart(
        title="The same rows by both versions",
        drawing=draw_dots(RowChart(rows=drawn, series=series, axis=Axis(label="prediction"))),
        description="Of each row the prediction of the live version and of the candidate: "
        + "; ".join(f"{row[live]} to {row[candidate]}" for row in rows[:_MOST_ROWS]),
    )


def _daily_chart(scores: Scores, daily: Daily, metric: str) -> Chart | SeriesChart:
    chart, times = daily_chart(scores, metric), day_times(daily.days)
    if times is None:
        return chart
    values = daily.metrics[metric]
    overall = (scores.metrics[metric],) * len(times)
    series = PageSeries(
        label=metric,
        times=times,
        lines=(
            SeriesLine(
                name="each day",
                values=values,
                texts=tuple("" if isnan(value) else f"{value:.4g}" for value in values),
            ),
            SeriesLine(name="all days", values=overall, hue=Hue.GREY, is_reference=True),
        ),
    )
    return SeriesChart(chart=chart, series=series)


def _slice_chart(cards: Mapping[str, Card], metric: str) -> Chart:
    first = next(iter(cards.values()))
    figures = {name: dict(_slice_figures(card, metric)) for name, card in cards.items()}
    shown = first["slices"][:_MOST_ROWS]
    best = next(each["best"] for each in first["metrics"] if each["name"] == metric)
    markers = [
        MarkerLine(value=each["value"], hue=hue)
        for hue, card in zip(HUES, cards.values(), strict=False)
        for each in card["metrics"]
        if each["name"] == metric and each["value"] is not None
    ]
    return Chart(
        title=f"{metric} by {first['by']}",
        subtitle=f"best {best}; lines are values over all rows, whiskers 95 % intervals over days",
        drawing=draw_dots(
            RowChart(
                rows=[
                    LabelledRow(
                        label=part["value"],
                        values=[own.get(part["value"]) for own in figures.values()],
                        note=plural(part["rows"], "row"),
                    )
                    for part in shown
                ],
                series=[
                    RowSeries(name=name, hue=hue, hollow=number > 0)
                    for number, (hue, name) in enumerate(zip(HUES, cards, strict=False))
                ],
                axis=Axis(label=metric),
                markers=markers,
            )
        ),
        description=f"{metric} by {first['by']}.",
        notes=(f"The {len(shown)} slices with the most rows, of {first['slice_count']:,}.",)
        if len(shown) < first["slice_count"]
        else (),
    )


def _slice_figures(card: Card, metric: str) -> Iterator[tuple[str, Measured]]:
    for part in card["slices"]:
        for each in part["metrics"]:
            if each["name"] == metric and each["value"] is not None:
                yield part["value"], _measured_value(each["value"], each["interval"])


def _measured_value(value: float, interval: Mapping[str, Any] | None) -> Measured:
    if interval is None or interval["low"] is None or interval["high"] is None:
        return Measured(value=value)
    return Measured(value=value, low=interval["low"], high=interval["high"])


def _scores(card: Card) -> Scores:
    daily = None
    if card["days"]:
        metrics = {name: _numbers(values) for name, values in card["daily"].items()}
        daily = Daily(days=tuple(card["days"]), rows=(), metrics=metrics)
    return Scores(
        rows=card["rows"],
        metrics={each["name"]: _numbers([each["value"]])[0] for each in card["metrics"]},
        daily=daily,
        curves={
            name: {column: _numbers(values) for column, values in columns.items()}
            for name, columns in card["curves"].items()
        },
    )


def _numbers(values: Iterable[float | None]) -> tuple[float, ...]:
    return tuple(nan if value is None else value for value in values)


def _label(cells: Sequence[str]) -> str:
    """As many of the first cells as have space."""
    found = cells[0]
    for cell in cells[1:]:
        if len(found) + len(cell) > _MOST_LETTERS:
            break
        found = f"{found}, {cell}"
    return found


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None
