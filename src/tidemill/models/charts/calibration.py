"""The calibration curve: are predictions right on average, at each level?"""

from __future__ import annotations

import polars as pl

from tidemill.core.counts import plural
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.chart import Chart
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import ReferenceLine
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.scatter import Scatter
from tidemill.models.charts.phrases import between, interval_phrase, read_aloud, rows_left_out
from tidemill.models.mean_intervals import HIGH, LOW, MEAN, ROWS, grouped_means
from tidemill.models.scored_rows import DAY, LABEL, PREDICTED, ScoredRows, scored_rows

_BIN = "_bin"


def calibration(
    scored: pl.DataFrame | pl.LazyFrame,
    label: str,
    *,
    positive: object = None,
    day: str | None = None,
    bins: int = 10,
    confidence: float = 0.95,
    title: str = "",
) -> Chart:
    """Draw the mean label over the mean prediction in bins of equally many rows, with intervals.

    `scored` has the label and `prediction`: a probability, or a number. A model is calibrated where the
    diagonal crosses the intervals. With `day` the intervals are over days, whose rows depend on each other;
    without it rows count as independent. Of more than two classes, `positive` names one.
    """
    rows = scored_rows(scored, label, "calibration", positive=positive, day=day)
    found = calibration_bins(rows, bins, confidence, day=day is not None)
    low, high = _ends(rows)
    measure = Measure.SHARE if rows.is_binary else Measure.NUMBER
    hints = [
        f"{plural(row[ROWS], 'row')}: predicted {row[PREDICTED]:.4g}, "
        f"observed {between(row[MEAN], row[LOW], row[HIGH])}"
        for row in found.iter_rows(named=True)
    ]
    layers: list[PanelLayer] = [
        ReferenceLine(start=(low, low), end=(high, high), name="calibrated"),
        Scatter(
            x=found[PREDICTED].to_list(),
            y=found[MEAN].to_list(),
            low=found[LOW].to_list(),
            high=found[HIGH].to_list(),
            name="observed",
            hints=hints,
        ),
    ]
    ends = (low, high) if rows.is_binary else (None, None)
    observed = f"share of {label} = {rows.positive}" if rows.is_binary else f"mean of {label}"
    predicted = "mean predicted probability" if rows.is_binary else "mean prediction"
    return Chart(
        title=title or f"Calibration of {label}",
        subtitle=f"{plural(rows.frame.height, 'row')} in {plural(found.height, 'bin')} of equally many; "
        + interval_phrase(confidence, over_days=day is not None),
        drawing=draw_panel(
            layers,
            x=Axis(label=predicted, measure=measure, low=ends[0], high=ends[1]),
            y=Axis(label=observed, measure=measure, low=ends[0], high=ends[1]),
        ),
        description=read_aloud(f"The {observed} over the {predicted}, by bin:", hints),
        notes=rows_left_out(rows.left_out),
    )


def calibration_bins(rows: ScoredRows, bins: int, confidence: float, *, day: bool) -> pl.DataFrame:
    """Bins of equally many rows by prediction, equal predictions together.

    Columns: the means of prediction and label (`_predicted`, `mean`), `rows`, `days`, `low`, `high`.
    """
    rank = pl.col(PREDICTED).rank("min") - 1
    frame = rows.frame.with_columns((rank * bins // pl.len()).cast(pl.Int64).alias(_BIN))
    means = grouped_means(
        frame,
        LABEL,
        _BIN,
        confidence=confidence,
        day=DAY if day else None,
        share=rows.is_binary,
    )
    predicted = frame.group_by(_BIN).agg(pl.col(PREDICTED).mean())
    return means.join(predicted, on=_BIN).sort(_BIN).drop(_BIN)


def _ends(rows: ScoredRows) -> tuple[float, float]:
    """The ends of the diagonal."""
    if rows.is_binary or rows.frame.is_empty():
        return 0.0, 1.0
    known = rows.frame[PREDICTED]
    return float(known.min()), float(known.max())  # type: ignore[arg-type]
