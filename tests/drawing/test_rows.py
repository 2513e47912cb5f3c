from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.svg import elements, parsed, texts
from tests.support.thoroughness import examples
from tidemill.drawing.axes import Axis
from tidemill.drawing.bars import draw_bars
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.rows import LabelledRow, MarkerLine, Measured, RowChart, RowSeries
from tidemill.drawing.svg import Hue

ANY = st.floats(allow_nan=True, allow_infinity=True)
VALUES = st.none() | st.builds(Measured, value=ANY, low=st.none() | ANY, high=st.none() | ANY)
ROWS = st.lists(
    st.builds(
        LabelledRow,
        label=st.text(max_size=30),
        values=st.lists(VALUES, min_size=2, max_size=2),
        note=st.text(max_size=5),
    ),
    max_size=5,
)
TWO = (RowSeries(name="candidate"), RowSeries(name="live", hue=Hue.AMBER, hollow=True))


@settings(max_examples=examples(30))
@given(ROWS, ANY)
def test_any_rows_can_be_drawn(rows: list[LabelledRow], overall: float) -> None:
    chart = RowChart(rows=rows, series=TWO, markers=[MarkerLine(value=overall, name="overall")])
    for draw in (draw_bars, draw_dots):
        parsed(draw(chart))


def test_labels_are_harmless_and_whole_in_a_hint() -> None:
    name = "<script>alert(1)</script>" + "x" * 200
    root = parsed(draw_dots(RowChart(rows=[LabelledRow(label=name, values=[Measured(value=1)])])))
    [label] = elements(root, "label")
    assert label[0].text == name
    assert texts(root, "label")[0].endswith("…")


def test_a_row_without_a_value_keeps_its_place() -> None:
    rows = [
        LabelledRow(label="a", values=[Measured(value=1, low=0, high=2), None], note="3 rows"),
        LabelledRow(label="b", values=[None, Measured(value=math.nan)]),
    ]
    root = parsed(draw_dots(RowChart(rows=rows, series=TWO)))
    assert texts(root, "label") == ["a", "b"]
    assert "3 rows" in texts(root)
    assert texts(root, "name") == ["candidate", "live"]
    # One in the plot, one in the legend for each series.
    assert len(elements(root, "whisker")) == 1


def test_nothing_to_draw_says_so() -> None:
    assert texts(parsed(draw_bars(RowChart(rows=[]))), "empty") == ["no data"]
    empty = RowChart(rows=[LabelledRow(label="a", values=[None])])
    assert texts(parsed(draw_dots(empty)), "empty") == ["no data"]


def test_a_hint_has_the_figures() -> None:
    rows = [LabelledRow(label="UA", values=[Measured(value=1.5, low=1, high=2), Measured(value=3)])]
    markup = draw_dots(RowChart(rows=rows, series=TWO)).markup
    assert "<title>UA, candidate: 1.5 (1 to 2)</title>" in markup
    assert "<title>UA, live: 3</title>" in markup


def test_markers_are_lines_through_all_rows() -> None:
    rows = [LabelledRow(label=str(n), values=[Measured(value=n)]) for n in range(9)]
    markers = [MarkerLine(value=3), MarkerLine(value=math.nan)]
    chart = RowChart(rows=rows, markers=markers, axis=Axis(label="mae"))
    assert len(elements(parsed(draw_dots(chart)), "reference")) == 1
