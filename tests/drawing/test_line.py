from __future__ import annotations

import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.svg import elements, parsed
from tests.support.thoroughness import examples
from tidemill.drawing.axes import Axis
from tidemill.drawing.line import Line, ReferenceLine, path, thinned
from tidemill.drawing.panel import draw_panel

ANY = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(ANY, ANY, ANY, ANY), max_size=12))
def test_any_values_can_be_drawn(rows: list[tuple[float, float, float, float]]) -> None:
    x, y, low, high = ([row[n] for row in rows] for n in range(4))
    parsed(draw_panel([Line(x=x, y=y, low=low, high=high)], x=Axis(), y=Axis()))


def test_a_missing_value_is_a_gap() -> None:
    y = [1, 2, math.nan, 4, 5]
    line = Line(x=range(5), y=y, low=[v - 1 for v in y], high=[v + 1 for v in y])
    root = parsed(draw_panel([line], x=Axis(), y=Axis()))
    assert len(elements(root, "line")) == len(elements(root, "band")) == 2
    assert len(elements(root, "dot")) == 4


def test_a_point_alone_is_visible() -> None:
    for dots in (True, False):
        line = Line(x=[1], y=[2], low=[1], high=[3], dots=dots)
        root = parsed(draw_panel([line], x=Axis(), y=Axis()))
        assert (len(elements(root, "dot")), len(elements(root, "whisker"))) == (1, 1)


def test_a_long_line_keeps_its_extremes_in_few_points() -> None:
    y = [math.sin(i / 99) for i in range(100_000)]
    y[54_321] = 7.0
    line = Line(x=range(100_000), y=y, name="a", dashed=True)
    root = parsed(draw_panel([line], x=Axis(), y=Axis()))
    [drawn] = elements(root, "dashed line")
    points = re.findall(r"[ML]([-0-9.]+) ([-0-9.]+)", drawn.attrib["d"])
    assert 500 < len(points) < 4 * 560
    rest = sorted(float(up) for _, up in points)
    # The peak of one value in a hundred thousand is still there.
    assert rest[1] - rest[0] > 100
    assert elements(root, "dot") == []


@given(st.lists(st.integers(0, 50), min_size=241, max_size=400))
def test_thinning_keeps_the_ends_and_the_order(up: list[int]) -> None:
    points = [(i / 10, float(y)) for i, y in enumerate(up)]
    kept = thinned(points)
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert set(kept) <= set(points)
    assert (min(y for _, y in kept), max(y for _, y in kept)) == (min(up), max(up))


def test_points_that_go_back_stay() -> None:
    back = [(float(-i), 0.0) for i in range(999)]
    assert thinned(back) == back


def test_equal_points_are_drawn_once() -> None:
    assert path([(1, 1), (1, 1), (2, 2)]) == "M1 1L2 2"


def test_a_reference_reaches_its_ends() -> None:
    drawing = draw_panel([ReferenceLine(start=(0, 0), end=(1, 1))], x=Axis(), y=Axis())
    assert len(elements(parsed(drawing), "reference")) == 1
