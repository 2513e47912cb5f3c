"""Draw how the values of a column changed, from two profiles, without the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tidemill.contracts.profiles.histogram import counts_of, edges_of
from tidemill.contracts.profiles.record import Categories, ColumnProfile
from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.bars import draw_bars
from tidemill.drawing.chart import Chart
from tidemill.drawing.histogram import Bins
from tidemill.drawing.panel import WIDTH, draw_panel
from tidemill.drawing.rows import LabelledRow, Measured, RowChart, RowSeries
from tidemill.drawing.svg import Drawing, Hue

_Floats: TypeAlias = npt.NDArray[np.float64]
_BINS, _MOST_CATEGORIES, _OTHERS = 31, 12, "other values"
# The most remote values, this share at each end, would squeeze all others into a few bins.
_REMOTE = 0.002
_SECONDS = {"Date": 86_400.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def then_and_now(
    then: ColumnProfile, now: ColumnProfile, *, title: str = "", width: float = WIDTH
) -> Chart:
    """Draw the shares of values then, filled, and now, as an outline: bins of numbers, or categories.

    Shares are those of the rows with a value; the share of missing ones is in the second line.
    """
    notes: tuple[str, ...] = ()
    if then.histogram is not None and now.histogram is not None:
        drawing, notes = _histograms(then, now, width)
    else:
        drawing, notes = _categories(then, now, width)
    missing = (
        f"missing then {_missing(then)}, now {_missing(now)}; "
        f"{plural(then.rows, 'row')} then, {now.rows:,} now"
    )
    return Chart(
        title=title or f"{now.name}, then and now",
        subtitle=missing,
        drawing=drawing,
        description=f"Shares of the values of {now.name} then and now; {missing}."
        + "".join(f" {note}" for note in notes),
        notes=notes,
    )


def _missing(column: ColumnProfile) -> str:
    return f"{column.missing_count / column.rows:.1%}" if column.rows else "-"


def _histograms(
    then: ColumnProfile, now: ColumnProfile, width: float
) -> tuple[Drawing, tuple[str, ...]]:
    parts = [_finite_part(column) for column in (then, now)]
    edges = _display_edges(parts, whole=not now.dtype.startswith(("Float", "Decimal")))
    shares = [part.shares(edges) for part in parts]
    unit = _seconds(now.dtype)
    layers = [
        Bins(
            edges=(edges * (unit or 1.0)).tolist(),
            heights=part.tolist(),
            name=name,
            hue=hue,
            outline=name == "now",
        )
        for part, name, hue in zip(shares, ("then", "now"), (Hue.GREY, Hue.BLUE), strict=True)
    ]
    axis = Axis(label=now.name, measure=_measure(now.dtype), padding=0.0)
    share = Axis(label="share of values", measure=Measure.SHARE, zero=True)
    drawing = draw_panel(layers, x=axis, y=share, width=width)
    outside = [
        1 - float(each.sum()) if part.total else 0.0
        for part, each in zip(parts, shares, strict=True)
    ]
    notes = (f"Beyond this range: {outside[0]:.1%} of values then, {outside[1]:.1%} now.",)
    return drawing, notes if max(outside) > 5e-4 else ()


def _measure(dtype: str) -> Measure:
    if dtype == "Date":
        return Measure.DAY
    return Measure.TIME if dtype.startswith("Datetime") else Measure.NUMBER


def _seconds(dtype: str) -> float:
    """The seconds of a unit of a column of dates or times; 0 for numbers and durations."""
    if dtype == "Date":
        return _SECONDS["Date"]
    if not dtype.startswith("Datetime"):
        return 0.0
    return next((factor for unit, factor in _SECONDS.items() if f"'{unit}'" in dtype), 1e-6)


@dataclass(frozen=True, slots=True)
class _FinitePart:
    """The bins of finite values, within the extremes of the column; `total` counts all values."""

    low: _Floats
    high: _Floats
    counts: _Floats
    total: float

    def ends(self) -> tuple[float, ...]:
        """Where almost all values begin and end."""
        if not self.counts.size:
            return ()
        passed = np.cumsum(self.counts) / self.counts.sum()
        first = int(np.searchsorted(passed, _REMOTE))
        last = int(np.searchsorted(passed, 1 - _REMOTE))
        return float(self.low[first]), float(self.high[min(last, passed.size - 1)])

    def shares(self, edges: _Floats) -> _Floats:
        """The share of all values between each two edges; values are spread evenly over their bin."""
        if not self.counts.size:
            return np.zeros(edges.size - 1)
        passed = np.cumsum(self.counts)
        places = np.ravel(np.column_stack([self.low, self.high]))
        heights = np.ravel(np.column_stack([passed - self.counts, passed]))
        return np.diff(np.interp(edges, places, heights)) / self.total


def _finite_part(column: ColumnProfile) -> _FinitePart:
    assert column.histogram is not None
    low, high = edges_of(column.histogram)
    counts = counts_of(column.histogram).astype(np.float64)
    inner = np.isfinite(low)
    # The extremes are known exactly, and the outermost bins reach beyond them.
    if column.least is not None and column.most is not None:
        least, most = float(column.least), float(column.most)
        low, high = np.clip(low, least, most), np.clip(high, least, most)
    return _FinitePart(low[inner], high[inner], counts[inner], float(counts.sum()))


def _display_edges(parts: Sequence[_FinitePart], *, whole: bool) -> _Floats:
    """Edges of equally wide bins over what both histograms mostly hold; of whole numbers, at halves."""
    ends = [end for part in parts for end in part.ends()]
    if not ends:
        return np.array([0.0, 1.0])
    low, high = min(ends), max(ends)
    if whole:
        first, last = floor(low + 0.5), max(ceil(high - 0.5), floor(low + 0.5))
        step = max(ceil((last - first + 1) / _BINS), 1)
        count = (last - first) // step + 1
        return np.asarray(first - 0.5 + step * np.arange(count + 1, dtype=np.float64))
    if high - low <= abs(low) * 1e-9:
        margin = abs(low) / 20 or 0.5
        low, high = low - margin, high + margin
    # Their number is odd, so that a single value is inside a bin.
    return np.linspace(low, high, _BINS + 1)


def _categories(
    then: ColumnProfile, now: ColumnProfile, width: float
) -> tuple[Drawing, tuple[str, ...]]:
    both = [column.categories or Categories(counts={}) for column in (then, now)]
    shares = [_category_shares(each) for each in both]
    names = sorted(
        {*shares[0], *shares[1]},
        key=lambda name: (-max(part.get(name, 0.0) for part in shares), name),
    )
    shown = names[:_MOST_CATEGORIES]
    rows = [
        LabelledRow(
            label=name,
            values=[_share(name, part, each) for part, each in zip(shares, both, strict=True)],
        )
        for name in shown
    ]
    rest = [max(1 - sum(part.get(n, 0.0) for n in shown), 0.0) if part else 0.0 for part in shares]
    if max(rest) > 1e-9:
        rows.append(LabelledRow(label=_OTHERS, values=[Measured(value=value) for value in rest]))
    chart = RowChart(
        rows=rows,
        series=(RowSeries(name="then", hue=Hue.GREY), RowSeries(name="now")),
        axis=Axis(label="share of values", measure=Measure.SHARE, zero=True),
        width=width,
    )
    unknown = any(value is None for row in rows for value in row.values)
    notes = ("Without a bar: not among the most frequent values, so its share isn't known.",)
    return draw_bars(chart), notes if unknown else ()


def _category_shares(counts: Categories) -> dict[str, float]:
    total = sum(counts.counts.values()) + counts.others
    return {name: count / total for name, count in counts.counts.items()}


def _share(name: str, shares: Mapping[str, float], counts: Categories) -> Measured | None:
    """The share of a value; None if it isn't listed and the list isn't complete."""
    if name not in shares and counts.missed:
        return None
    return Measured(value=shares.get(name, 0.0))
