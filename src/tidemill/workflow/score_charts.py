"""Draw scores from what is recorded, without the rows: figures of days, slices, and curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line, ReferenceLine
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.rows import LabelledRow, MarkerLine, Measured, RowChart
from tidemill.drawing.scatter import Scatter
from tidemill.drawing.svg import Hue

if TYPE_CHECKING:
    from tidemill.workflow.gate import Curve, Scores

MOST_SLICES = 30
# The colours of several models, in order; neighbours differ for all kinds of colour vision.
HUES = (Hue.BLUE, Hue.AMBER, Hue.TEAL, Hue.VIOLET, Hue.RED, Hue.GREEN)
_DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


class _Kind(NamedTuple):
    """The columns of a curve, what its axes are called, and the name of the diagonal."""

    across: str
    up: str
    title: str
    labels: tuple[str, str]
    reference: str = ""


_KINDS = {
    "roc": _Kind(
        "false_positive_rate",
        "true_positive_rate",
        "ROC curve",
        ("false positive rate", "true positive rate"),
        "guessing",
    ),
    "precision_recall": _Kind(
        "recall", "precision", "Precision and recall", ("recall", "precision")
    ),
    "lift": _Kind(
        "share",
        "gain",
        "Lift",
        ("share of all rows, greatest predictions first", "share of the positive rows in them"),
        "random order",
    ),
    "calibration": _Kind(
        "predicted", "actual", "Calibration", ("mean prediction", "mean outcome"), "calibrated"
    ),
}


def scores_html(scores: Scores) -> str:
    """Render scores for a notebook: a table of all figures, and charts of days, slices and curves."""
    headers = (scores.by or "scores", ">rows", *(f">{name}" for name in scores.metrics))
    parts = [("all", scores.rows, scores.metrics)]
    parts += [(part.value, part.rows, part.metrics) for part in scores.slices[:MOST_SLICES]]
    rows = [
        (name, f"{count:,}", *(f"{figures[each]:.4g}" for each in scores.metrics))
        for name, count, figures in parts
    ]
    hidden = len(scores.slices) - MOST_SLICES
    caption = f"without {plural(hidden, 'slice')} more" if hidden > 0 else ""
    charts = "".join(chart._repr_html_() for chart in _charts(scores))
    return notebook_html(
        notebook_table(headers, rows, caption=caption), f'<div class="charts">{charts}</div>'
    )


def _charts(scores: Scores) -> Iterator[Chart]:
    metric = next(iter(scores.metrics), "")
    if scores.daily is not None and metric in scores.daily.metrics:
        yield daily_chart(scores, metric)
    if scores.slices:
        yield slices_chart(scores, metric)
    for name in scores.curves:
        yield curve_chart({"": scores}, name)


def daily_chart(scores: Scores, metric: str) -> Chart:
    """Draw a metric of each day, and its value over all days as a line."""
    assert scores.daily is not None
    values = scores.daily.metrics[metric]
    times = [_seconds(day) for day in scores.daily.days]
    dated = all(time is not None for time in times)
    x = [float(n) if time is None or not dated else time for n, time in enumerate(times, 1)]
    overall = scores.metrics[metric]
    ends = (min(x, default=0.0), max(x, default=0.0))
    hints = [f"{day}: {value:.4g}" for day, value in zip(scores.daily.days, values, strict=True)]
    layers: list[PanelLayer] = [
        ReferenceLine(start=(ends[0], overall), end=(ends[1], overall), name="all days"),
        Line(x=x, y=values, name="each day", hints=hints),
    ]
    axis = Axis(label="day", measure=Measure.DAY if dated else Measure.NUMBER)
    return Chart(
        title=f"{metric} by day",
        subtitle=f"{metric} {overall:.4g} over {plural(len(values), 'day')}",
        drawing=draw_panel(layers, x=axis, y=Axis(label=metric), height=180),
        description=f"{metric} of each of {plural(len(values), 'day')}; {overall:.4g} over all.",
    )


def slices_chart(scores: Scores, metric: str) -> Chart:
    """Draw a metric of each slice as a dot, and its value over all rows as a line."""
    largest = sorted(scores.slices, key=lambda part: (-part.rows, part.value))[:MOST_SLICES]
    shown = [part for part in scores.slices if part in largest]
    rows = [
        LabelledRow(
            label=part.value,
            values=[Measured(value=part.metrics[metric])],
            note=plural(part.rows, "row"),
        )
        for part in shown
    ]
    hidden = len(scores.slices) - len(shown)
    return Chart(
        title=f"{metric} by {scores.by}",
        subtitle="without intervals; tm.plots.slices(scores) draws them",
        drawing=draw_dots(
            RowChart(
                rows=rows,
                axis=Axis(label=metric),
                markers=[MarkerLine(value=scores.metrics[metric], name="all rows")],
            )
        ),
        description=f"{metric} by {scores.by}: "
        + "; ".join(f"{part.value}: {part.metrics[metric]:.4g}" for part in shown),
        notes=(f"The {len(shown)} slices with the most rows, of {len(scores.slices):,}.",)
        if hidden
        else (),
    )


def curve_chart(models: Mapping[str, Scores], name: str, *, title: str = "") -> Chart:
    """Draw a recorded curve of one model (its name is empty) or of several; UsageError if one lacks it."""
    curves = {model: _curve(scores, name) for model, scores in models.items()}
    kind = _KINDS.get(name) or _unknown_kind(name, next(iter(curves.values())))
    layers: list[PanelLayer] = [
        _layer(curve, name, kind, model, hue)
        for hue, (model, curve) in zip(HUES, curves.items(), strict=False)
    ]
    share = _are_shares([*curves.values()], kind)
    if kind.reference:
        start, end = _DIAGONAL if share else _ends(layers)
        layers.insert(0, ReferenceLine(start=start, end=end, name=kind.reference))
    axes = [
        Axis(label=label, measure=Measure.SHARE, low=0, high=1) if share else Axis(label=label)
        for label in kind.labels
    ]
    rows = [
        f"{model}: {plural(scores.rows, 'row')}" if model else plural(scores.rows, "row")
        for model, scores in models.items()
    ]
    return Chart(
        title=title or kind.title,
        subtitle=", ".join(rows),
        drawing=draw_panel(layers, x=axes[0], y=axes[1], height=300),
        description=f"{kind.labels[1].capitalize()} over {kind.labels[0]}; {', '.join(rows)}.",
    )


def _curve(scores: Scores, name: str) -> Curve:
    if name in scores.curves:
        return scores.curves[name]
    known = tuple(scores.curves)
    advice = did_you_mean(name, known) if known else "add one: tm.scores(..., tm.roc(label))"
    raise UsageError(f"the scores have no curve {name!r} ({advice})")


def _unknown_kind(name: str, curve: Curve) -> _Kind:
    """A curve of a user: its second column over its first."""
    across, up, *_ = [*curve, "x", "y"]
    return _Kind(across, up, name, (across, up))


def _layer(curve: Curve, name: str, kind: _Kind, model: str, hue: Hue) -> PanelLayer:
    x, y = (list(curve.get(axis, ())) for axis in (kind.across, kind.up))
    if name == "calibration":
        rows = curve.get("rows", ())
        hints = [f"{plural(int(count), 'row')}: predicted {a:.4g}, actual {b:.4g}"
                 for a, b, count in zip(x, y, rows, strict=False)]  # fmt: skip
        return Scatter(x=x, y=y, name=model or "observed", hue=hue, hints=hints)
    if x and name in ("roc", "lift"):
        # Nothing is found before the first row.
        x, y = [0.0, *x], [0.0, *y]
    if x and name == "precision_recall":
        x, y = stepped(x, y)
    return Line(x=x, y=y, name=model, hue=hue, dots=False)


def stepped(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The curve as steps from x = 0: between two points nothing is known."""
    across, up = [0.0], [y[0]]
    for right, value in zip(x, y, strict=True):
        across += [across[-1], right]
        up += [value, value]
    return across, up


def _are_shares(curves: Sequence[Curve], kind: _Kind) -> bool:
    values = (v for curve in curves for axis in (kind.across, kind.up) for v in curve.get(axis, ()))
    return all(0 <= value <= 1 for value in values)


def _ends(layers: Sequence[PanelLayer]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The ends of a diagonal over all values."""
    found = [v for layer in layers for v in layer.horizontal() if v is not None] or [0.0, 1.0]
    low, high = min(found), max(found)
    return (low, low), (high, high)


def _seconds(day: str) -> float | None:
    """A day in Unix seconds; None if it isn't a date."""
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
