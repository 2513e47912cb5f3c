from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.svg import elements, parsed
from tests.support.thoroughness import examples
from tidemill.drawing.axes import Axis
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.upright_bars import UprightBars

ANY = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=examples(30))
@given(st.lists(st.tuples(ANY, ANY, ANY), max_size=12))
def test_any_values_can_be_drawn(rows: list[tuple[float, float, float]]) -> None:
    x, low, high = ([row[n] for row in rows] for n in range(3))
    bars = UprightBars(x=x, low=low, high=high, step=1.0)
    parsed(draw_panel([bars], x=Axis(), y=Axis()))


def test_bars_stand_on_each_other_and_none_touches_the_next() -> None:
    lower = UprightBars(x=[1, 2, 3], low=[0] * 3, high=[2, 0, math.nan], step=1, name="rent")
    upper = UprightBars(
        x=[1, 2, 3], low=[2, 0, 0], high=[3, 1, 1], step=1, name="pay", hints=["a", "<b>", "c"]
    )
    root = parsed(draw_panel([lower, upper], x=Axis(padding=0), y=Axis(zero=True)))
    bars = [
        {name: float(each.get(name, "nan")) for name in ("x", "y", "width", "height")}
        for each in elements(root, "solid")
        if each.get("height") != "10"
    ]
    assert len(bars) == 4
    first, *others = bars
    assert others[0]["x"] == first["x"]
    assert abs(others[0]["y"] + others[0]["height"] - first["y"]) < 0.2
    assert abs(first["height"] - 2 * others[0]["height"]) < 0.2
    assert others[0]["x"] + others[0]["width"] < others[1]["x"]
    # The others are those of the legend.
    assert len(elements(root, "solid")) == 6
