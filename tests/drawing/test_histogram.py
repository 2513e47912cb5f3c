from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.svg import elements, parsed
from tests.support.thoroughness import examples
from tidemill.drawing.axes import Axis
from tidemill.drawing.histogram import Bins
from tidemill.drawing.panel import draw_panel

ANY = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=examples(30))
@given(st.lists(ANY, min_size=2, max_size=9), st.data(), st.booleans())
def test_any_values_can_be_drawn(edges: list[float], data: st.DataObject, outline: bool) -> None:
    size = len(edges) - 1
    heights = data.draw(st.lists(ANY, min_size=size, max_size=size))
    parsed(draw_panel([Bins(edges=edges, heights=heights, outline=outline)], x=Axis(), y=Axis()))


def test_bars_begin_at_zero_and_are_as_high_as_their_values() -> None:
    drawing = draw_panel(
        [Bins(edges=[0, 1, 2, 3], heights=[10, 20, 15], hints="abc")], x=Axis(), y=Axis()
    )
    bars = elements(parsed(drawing), "fill")
    heights = [float(bar.attrib["height"]) for bar in bars]
    feet = {round(float(bar.attrib["y"]) + float(bar.attrib["height"])) for bar in bars}
    assert len(feet) == 1
    assert [round(height / heights[1], 2) for height in heights] == [0.5, 1, 0.75]
    assert [bar[0].text for bar in bars] == ["a", "b", "c"]


def test_an_outline_is_one_line_that_falls_to_zero_at_a_missing_bin() -> None:
    bins = Bins(edges=[0, 1, 2, 3], heights=[1, math.nan, 2], outline=True)
    [line] = elements(parsed(draw_panel([bins], x=Axis(), y=Axis())), "line")
    assert line.attrib["d"].count("M") == 2
    empty = Bins(edges=[0, 1], heights=[math.nan], outline=True)
    assert elements(parsed(draw_panel([empty], x=Axis(), y=Axis())), "line") == []


def test_many_bins_have_no_gaps() -> None:
    bins = Bins(edges=range(1_001), heights=[1.0] * 1_000)
    bars = elements(parsed(draw_panel([bins], x=Axis(), y=Axis())), "fill")
    assert all(float(bar.attrib["width"]) >= 0.5 for bar in bars)
