"""ROC and precision-recall plots, of one model or of several side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from tidemill.core.counts import plural
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line, ReferenceLine
from tidemill.drawing.panel import draw_panel
from tidemill.models.charts.named_frames import Frames, named_frames
from tidemill.models.charts.phrases import read_aloud, rows_left_out
from tidemill.models.ranking_curves import RankingCurve, precision_recall_curve, roc_curve
from tidemill.models.scored_rows import LABEL, ScoredRows, binary_rows
from tidemill.workflow.score_charts import HUES, stepped

_SIZE = 400.0
_MOST_POINTS, _FIRST_POINTS = 2_000, 200


def roc(scored: Frames, label: str, *, positive: object = None, title: str = "") -> Chart:
    """Draw true over false positive rates for every threshold, with the area under the curve.

    `scored` has the label and `prediction`, the probability of the positive class; or it maps names of
    models to such frames. The diagonal is what guessing gives. Raises UsageError for rows of one class.
    """
    found = _curves(scored, label, "roc", positive, roc_curve)
    layers: list[PanelLayer] = [ReferenceLine(start=(0, 0), end=(1, 1), name="guessing")]
    for hue, (name, (curve, _)) in zip(HUES, found.items(), strict=False):
        shown = f"{name}: AUC {curve.area:.3f}" if name else f"AUC {curve.area:.3f}"
        layers.append(Line(x=curve.x.tolist(), y=curve.y.tolist(), name=shown, hue=hue, dots=False))
    return _chart(
        layers,
        found,
        title=title or f"ROC curve of {label}",
        label=label,
        area="area under the curve",
        axes=("false positive rate", "true positive rate"),
    )


def precision_recall(
    scored: Frames, label: str, *, positive: object = None, title: str = ""
) -> Chart:
    """Draw precision over recall for every threshold, with the average precision.

    Takes what `roc` takes. The horizontal line is the share of positive rows, which guessing gives.
    """
    found = _curves(scored, label, "precision_recall", positive, precision_recall_curve)
    rows = next(iter(found.values()))[1]
    share = float(rows.frame[LABEL].mean())  # type: ignore[arg-type]
    layers: list[PanelLayer] = [
        ReferenceLine(start=(0, share), end=(1, share), name=f"share of positive rows {share:.1%}")
    ]
    for hue, (name, (curve, _)) in zip(HUES, found.items(), strict=False):
        shown = f"average precision {curve.area:.3f}"
        x, y = stepped(*_drawn_points(curve))
        named = f"{name}: {shown}" if name else shown
        layers.append(Line(x=x, y=y, name=named, hue=hue, dots=False))
    return _chart(
        layers,
        found,
        title=title or f"Precision and recall of {label}",
        label=label,
        area="average precision",
        axes=("recall", "precision"),
    )


def _curves(
    scored: Frames,
    label: str,
    taker: str,
    positive: object,
    curve: Callable[[pl.DataFrame], RankingCurve],
) -> Mapping[str, tuple[RankingCurve, ScoredRows]]:
    rows = {
        name: binary_rows(frame, label, taker, positive=positive)
        for name, frame in named_frames(scored, taker).items()
    }
    return {name: (curve(each.frame), each) for name, each in rows.items()}


def _drawn_points(curve: RankingCurve) -> tuple[list[float], list[float]]:
    """The points of a curve, of many only as many as can be told apart; the area is that of all.

    The first ones all stay, because a precision of few rows varies most.
    """
    count = len(curve.x)
    if count > _MOST_POINTS:
        even = np.linspace(0, count - 1, _MOST_POINTS).astype(int)
        kept = np.unique(np.concatenate([np.arange(_FIRST_POINTS), even]))
        return curve.x[kept].tolist(), curve.y[kept].tolist()
    return curve.x.tolist(), curve.y.tolist()


def _chart(
    layers: list[PanelLayer],
    found: Mapping[str, tuple[RankingCurve, ScoredRows]],
    *,
    title: str,
    label: str,
    area: str,
    axes: tuple[str, str],
) -> Chart:
    rows = next(iter(found.values()))[1]
    positive = int(rows.frame[LABEL].sum())
    return Chart(
        title=title,
        subtitle=f"{plural(rows.frame.height, 'row')}, {positive:,} of them with {label} = {rows.positive}",
        drawing=draw_panel(
            layers,
            x=Axis(label=axes[0], measure=Measure.SHARE, low=0, high=1),
            y=Axis(label=axes[1], measure=Measure.SHARE, low=0, high=1),
            width=_SIZE + 60,
            height=_SIZE - 40,
        ),
        description=read_aloud(
            f"{axes[1].capitalize()} over {axes[0]}.",
            (f"{name or 'model'}: {area} {curve.area:.4g}" for name, (curve, _) in found.items()),
        ),
        notes=rows_left_out(sum(each.left_out for _, each in found.values())),
    )
