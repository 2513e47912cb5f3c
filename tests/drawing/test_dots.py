from __future__ import annotations

from tests.support.svg import elements, parsed
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.rows import LabelledRow, Measured, RowChart, RowSeries


def test_dots_are_on_a_scale_of_their_own() -> None:
    rows = [LabelledRow(label="x", values=[Measured(value=v)]) for v in (100.0, 101.0)]
    first, second = elements(parsed(draw_dots(RowChart(rows=rows))), "dot")
    assert float(second.attrib["cx"]) - float(first.attrib["cx"]) > 300


def test_a_dot_is_over_its_interval() -> None:
    rows = [LabelledRow(label="x", values=[Measured(value=1, low=0, high=2)])]
    chart = RowChart(rows=rows, series=[RowSeries(hollow=True)])
    markup = draw_dots(chart).markup
    assert markup.index("whisker") < markup.index("hollow")
