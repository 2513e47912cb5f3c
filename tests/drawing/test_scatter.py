from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.svg import chart_of, elements, parsed
from tests.support.thoroughness import examples
from tidemill.drawing.axes import Axis
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.scatter import Scatter

ANY = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(ANY, ANY, ANY, ANY), max_size=12))
def test_any_values_can_be_drawn(rows: list[tuple[float, float, float, float]]) -> None:
    x, y, low, high = ([row[n] for row in rows] for n in range(4))
    root = parsed(draw_panel([Scatter(x=x, y=y, low=low, high=high)], x=Axis(), y=Axis()))
    known = [row for row in rows if math.isfinite(row[0]) and math.isfinite(row[1])]
    assert len(elements(root, "dot")) == len(known)


def test_hints_belong_to_their_points() -> None:
    points = Scatter(x=[1, math.nan, 3], y=[1, 2, 3], hints=["a", "b", "c"])
    root = parsed(draw_panel([points], x=Axis(), y=Axis()))
    assert [dot[0].text for dot in elements(root, "dot")] == ["a", "c"]


def test_many_points_are_counted_in_cells() -> None:
    x = [math.sin(i) * i for i in range(50_000)]
    y = [math.cos(i * i) * i for i in range(50_000)]
    drawing = draw_panel([Scatter(x=x, y=y)], x=Axis(), y=Axis())
    cells = elements(parsed(drawing), "cell")
    assert 500 < len(cells) <= 2_000
    assert elements(parsed(drawing), "dot") == []
    assert len(chart_of(drawing).svg) < 300_000


def test_the_fullest_cell_is_the_darkest() -> None:
    x = [0.0] * 3_000 + [1.0]
    drawing = draw_panel([Scatter(x=x, y=x)], x=Axis(), y=Axis())
    shades = [float(cell.attrib["opacity"]) for cell in elements(parsed(drawing), "cell")]
    assert sorted(shades) == [0.22, 1.0]
