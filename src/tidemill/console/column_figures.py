"""The statistics of a column as the console shows them, and pictures of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.axes import Axis, Measure
from tidemill.drawing.bars import draw_bars
from tidemill.drawing.chart import Chart
from tidemill.drawing.histogram import Bins
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.rows import LabelledRow, Measured, RowChart, RowSeries
from tidemill.drawing.svg import Drawing, Hue


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueShares:
    """The shares of values of a column, then and now; without a comparison `then` is empty.

    They are of `names`, or between `edges`, of which there is one more: numbers, Unix seconds if `measure` is
    "day" or "time", or lengths of texts and lists if it is "length". Values beyond the first and the last
    edge count at the ends, of which `beyond` says which have such values.
    """

    then: tuple[float, ...] = ()
    now: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    measure: str = "number"
    beyond: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCount:
    """A value, and how often it occurs; None if it is only known that it isn't frequent."""

    value: str
    count: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantile:
    """The value below which a `share` of the values are, as text."""

    share: float
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFigures:
    """The statistics of a column: `missing` are nulls and `nans` together, `least` and `most` are texts.

    `distinct` is exact unless `is_estimated`; `mean` and `deviation` are None without numbers. `top` are the
    most frequent values, of all unless `others` have other ones. Of one that `is_hidden` no value is told.
    """

    name: str
    type: str
    personal: str = ""
    is_hidden: bool = False
    rows: int
    missing: int
    nans: int
    distinct: int | None
    is_estimated: bool
    least: str | None
    most: str | None
    mean: float | None
    deviation: float | None
    quantiles: tuple[Quantile, ...] = ()
    top: tuple[ValueCount, ...] = ()
    others: int = 0
    shares: ValueShares = field(default_factory=ValueShares)


def picture_of_shares(
    name: str,
    prefix: str,
    shares: dict[str, list[float] | list[str] | str],
    width: float = 360.0,
) -> str:
    """Draw the shares of a column's values for a page; `prefix` makes its ids unique there."""
    then, now = _floats(shares["then"]), _floats(shares["now"])
    names, edges = [str(each) for each in shares["names"]], _floats(shares["edges"])
    drawing = _bars(names, then, now, width) if names else _bins(edges, then, now, shares, width)
    series = "then, in grey, and now" if then else "of all values"
    chart = Chart(
        title="",
        drawing=drawing,
        description=f"Shares of the values of {name} {series}.",
    )
    return chart.page_element(prefix)


def _floats(values: object) -> list[float]:
    return [float(each) for each in values] if isinstance(values, list) else []


def _bars(
    names: Sequence[str], then: Sequence[float], now: Sequence[float], width: float
) -> Drawing:
    series = (
        (RowSeries(name="then", hue=Hue.GREY), RowSeries(name="now")) if then else (RowSeries(),)
    )
    rows = [
        LabelledRow(
            label=name,
            values=[Measured(value=side[at]) for side in ((then, now) if then else (now,))],
        )
        for at, name in enumerate(names)
    ]
    axis = Axis(label="share of values", measure=Measure.SHARE, zero=True)
    return draw_bars(RowChart(rows=rows, series=series, axis=axis, width=width))


def _bins(
    edges: Sequence[float],
    then: Sequence[float],
    now: Sequence[float],
    shares: Mapping[str, object],
    width: float,
) -> Drawing:
    measure = str(shares["measure"])
    layers = [Bins(edges=edges, heights=now, name="now" if then else "", outline=bool(then))]
    if then:
        layers.insert(0, Bins(edges=edges, heights=then, name="then", hue=Hue.GREY))
    return draw_panel(
        layers,
        x=Axis(
            label="length" if measure == "length" else str(shares["beyond"]),
            measure=Measure(measure) if measure in ("day", "time") else Measure.NUMBER,
            padding=0.0,
        ),
        y=Axis(label="share of values", measure=Measure.SHARE, zero=True),
        width=width,
        height=110,
    )
