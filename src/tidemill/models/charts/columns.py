"""Importance of columns: how much a model relies on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.core.counts import plural
from tidemill.drawing.axes import Axis
from tidemill.drawing.bars import draw_bars
from tidemill.drawing.chart import Chart
from tidemill.drawing.rows import LabelledRow, Measured, RowChart
from tidemill.models.charts.phrases import between, read_aloud
from tidemill.models.importance import Importance, library_importance

MOST_COLUMNS = 30


def importance(found: Any, *, names: Sequence[str] = (), title: str = "") -> Chart:
    """Draw how much a model relies on each of its columns, most important first.

    `found` is what `tm.permutation_importance` returns, a mapping from columns to numbers, or a model of
    LightGBM, XGBoost or scikit-learn, which says it itself; `names` are its columns in order. Of many
    columns, the most important are drawn.
    """
    if isinstance(found, Importance):
        return _permutation(found, title)
    sizes = found if isinstance(found, Mapping) else library_importance(found, names)
    ranked = sorted(sizes.items(), key=lambda each: (-each[1], each[0]))
    values = [(name, Measured(value=float(value))) for name, value in ranked]
    subtitle = (
        "" if isinstance(found, Mapping) else "as its library measures it, on the training rows"
    )
    return _chart(values, title or "Feature importance", subtitle, "importance")


def _permutation(found: Importance, title: str) -> Chart:
    values = [
        (each.column, Measured(value=each.mean, low=min(each.values), high=max(each.values)))
        for each in found.columns
    ]
    turns = len(found.columns[0].values) if found.columns else 0
    return _chart(
        values,
        title or "Permutation importance",
        f"how much worse {found.metric} ({found.value:.4g}) is when a column is shuffled: mean, least and "
        f"most of {plural(turns, 'repetition')} on {plural(found.rows, 'row')}",
        f"loss of {found.metric}",
    )


def _chart(values: Sequence[tuple[str, Measured]], title: str, subtitle: str, axis: str) -> Chart:
    shown = values[:MOST_COLUMNS]
    more = len(values) - len(shown)
    return Chart(
        title=title,
        subtitle=subtitle,
        drawing=draw_bars(
            RowChart(
                rows=[LabelledRow(label=name, values=[each]) for name, each in shown],
                axis=Axis(label=axis, zero=True),
            )
        ),
        description=read_aloud(
            f"{title}, by column:",
            (f"{name}: {between(each.value, each.low, each.high)}" for name, each in shown),
        ),
        notes=(f"The {len(shown)} most important columns, of {len(values):,}.",) if more else (),
    )
