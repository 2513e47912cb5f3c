"""Residuals by slice: where a model predicts too much or too little."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from tidemill.core.counts import plural
from tidemill.drawing.axes import Axis
from tidemill.drawing.chart import Chart
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.rows import LabelledRow, Measured, RowChart
from tidemill.models.charts.phrases import between, interval_phrase, read_aloud, rows_left_out
from tidemill.models.mean_intervals import HIGH, LOW, MEAN, ROWS, grouped_means
from tidemill.models.scored_rows import DAY, LABEL, PREDICTED, SLICE, scored_rows

MOST_SLICES = 30
_BINS = 10
_RESIDUAL = "_residual"


def residuals(
    scored: pl.DataFrame | pl.LazyFrame,
    label: str,
    *,
    by: str,
    positive: object = None,
    day: str | None = None,
    confidence: float = 0.95,
    title: str = "",
) -> Chart:
    """Draw the mean of prediction less label for each value of the column `by`, with intervals.

    Values right of zero mean that the model predicts too much. A column of many numbers is cut into ten
    ranges of equally many rows. With `day` the intervals are over days, whose rows depend on each other. Of
    many slices, those with the most rows are drawn.
    """
    rows = scored_rows(scored, label, "residuals", positive=positive, day=day, by=by)
    keys, names = _slices(rows.frame[SLICE])
    frame = rows.frame.with_columns(
        (pl.col(PREDICTED) - pl.col(LABEL)).alias(_RESIDUAL), keys.alias(SLICE)
    )
    every = grouped_means(
        frame, _RESIDUAL, SLICE, confidence=confidence, day=DAY if day is not None else None
    )
    found = every.sort(ROWS, SLICE, descending=[True, False]).head(MOST_SLICES)
    shown = [
        (names.get(row[SLICE], row[SLICE]), row) for row in found.sort(SLICE).iter_rows(named=True)
    ]
    notes = rows_left_out(rows.left_out)
    if every.height > found.height:
        notes += (f"The {found.height} slices with the most rows, of {every.height:,}.",)
    return Chart(
        title=title or f"Residuals of {label} by {by}",
        subtitle=f"mean of prediction less {label}; "
        + interval_phrase(confidence, over_days=day is not None),
        drawing=draw_dots(
            RowChart(
                rows=[
                    LabelledRow(
                        label=name,
                        values=[Measured(value=row[MEAN], low=row[LOW], high=row[HIGH])],
                        note=plural(row[ROWS], "row"),
                    )
                    for name, row in shown
                ],
                axis=Axis(label="predicted too little | too much", zero=True),
            )
        ),
        description=read_aloud(
            f"Mean of prediction less {label} by {by}:",
            (f"{name}: {between(row[MEAN], row[LOW], row[HIGH])}" for name, row in shown),
        ),
        notes=notes,
    )


def _slices(column: pl.Series) -> tuple[pl.Series, Mapping[str | None, str]]:
    """The slice of each row, as text in the order of slices, and the names of those."""
    if not column.dtype.is_numeric():
        return column.cast(pl.String), {None: "missing"}
    if column.n_unique() <= MOST_SLICES:
        known = column.drop_nulls().unique().sort()
        order = {value: f"{n:02}" for n, value in enumerate(known)}
        keys = column.replace_strict(order, default=None, return_dtype=pl.String)
        return keys, {None: "missing", **{key: f"{value:g}" for value, key in order.items()}}
    bins = ((column.rank("min") - 1) * _BINS // column.count()).cast(pl.Int64).cast(pl.String)
    ranges = (
        pl.DataFrame({"bin": bins, "value": column})
        .drop_nulls()
        .group_by("bin")
        .agg(least=pl.col("value").min(), most=pl.col("value").max())
    )
    names = {row["bin"]: f"{row['least']:.4g} .. {row['most']:.4g}" for row in ranges.to_dicts()}
    return bins, {None: "missing", **names}
