from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import checked_element, elements
from tidemill.drawing.document import page_element
from tidemill.drawing.sparkline import Sparkline, draw_sparkline

NUMBERS = st.none() | st.floats()


def drawn(sparkline: Sparkline) -> ElementTree.Element:
    return checked_element(page_element(draw_sparkline(sparkline), prefix="s", title="rate"))


def heights(values: list[float | None], target: float | None = None) -> list[str]:
    """The heights at which the line, the dots and the target are."""
    markup = draw_sparkline(Sparkline(values=values, target=target)).markup
    return re.findall(r'(?:M|L)[\d.]+ ([\d.]+)|cy="([\d.]+)"', markup)


@given(st.lists(NUMBERS, max_size=400), NUMBERS)
def test_all_is_inside(values: list[float | None], target: float | None) -> None:
    sparkline = Sparkline(values=values, target=target)
    root = drawn(sparkline)
    assert draw_sparkline(sparkline) == draw_sparkline(sparkline)
    for path in elements(root, "spark"):
        for x, y in re.findall(r"([\d.]+) ([\d.]+)", path.get("d", "")):
            assert 0 <= float(x) <= sparkline.width
            assert 0 <= float(y) <= sparkline.height
    for dot in elements(root, "dot"):
        assert 0 <= float(dot.get("cx", "")) <= sparkline.width


@pytest.mark.parametrize(
    ("values", "lines", "dots"),
    [
        ([], 0, 0),
        ([None, float("nan")], 0, 0),
        ([1], 0, 2),  # a point, and the dot of the last value over it
        ([1, 2, 3], 1, 1),
        ([1, 2, None, 3, 4], 2, 1),  # a gap
        ([1, None, 2, 3], 1, 2),  # a value between gaps
    ],
)
def test_gaps_stay_gaps(values: list[float | None], lines: int, dots: int) -> None:
    root = drawn(Sparkline(values=values))
    assert len(elements(root, "spark")) == lines
    assert len(elements(root, "dot")) == dots


def test_the_last_value_is_at_the_right() -> None:
    for values in ([5.0], [1.0, 2.0], [1.0, None]):
        last = elements(drawn(Sparkline(values=values)), "dot")[-1]
        assert last.get("cx") == ("93" if values[-1] else "3")


def test_equal_values_are_in_the_middle() -> None:
    assert {"".join(each) for each in heights([3, 3, 3], 3)} == {"10"}


def test_a_target_is_drawn_if_it_is_known() -> None:
    assert len(elements(drawn(Sparkline(values=[1, 2], target=9)), "target")) == 1
    assert elements(drawn(Sparkline(values=[1, 2], target=float("inf"))), "target") == []
