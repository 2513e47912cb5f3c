from __future__ import annotations

import pytest

from tests.support.svg import elements, parsed
from tidemill.drawing.axes import Axis
from tidemill.drawing.bars import draw_bars
from tidemill.drawing.rows import LabelledRow, Measured, RowChart, RowSeries


def chart(*values: float) -> RowChart:
    rows = [
        LabelledRow(label="x", values=[Measured(value=v, low=v - 1, high=v + 1)]) for v in values
    ]
    return RowChart(rows=rows, axis=Axis(low=90))


def test_bars_begin_at_zero_whatever_the_axis_says() -> None:
    bars = elements(parsed(draw_bars(chart(100, 50))), "fill")
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert round(widths[1] / widths[0], 2) == 0.5
    assert len({bar.attrib["x"] for bar in bars}) == 1


def test_negative_bars_lead_to_the_left_of_zero() -> None:
    root = parsed(draw_bars(chart(10, -10)))
    right, left = elements(root, "fill")
    end = float(left.attrib["x"]) + float(left.attrib["width"])
    assert end == pytest.approx(float(right.attrib["x"]), abs=0.11)
    assert len(elements(root, "zero")) == 1
    assert len(elements(root, "whisker")) == 2


def test_a_hollow_series() -> None:
    rows = [LabelledRow(label="x", values=[Measured(value=1)])]
    drawing = draw_bars(RowChart(rows=rows, series=[RowSeries(hollow=True)]))
    assert len(elements(parsed(drawing), "hollow")) == 1
