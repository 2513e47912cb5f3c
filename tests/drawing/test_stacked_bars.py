from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import SVG, checked_element, texts
from tidemill.drawing.document import page_element
from tidemill.drawing.stacked_bars import StackedBars, draw_stacked_bars

AMOUNTS = st.floats(-1e6, 1e9) | st.just(float("nan")) | st.just(float("inf"))
PARTS = st.dictionaries(st.text(max_size=9), AMOUNTS, max_size=9)


def drawn(bars: StackedBars) -> ElementTree.Element:
    return checked_element(page_element(draw_stacked_bars(bars), prefix="b", title="Costs"))


def segments(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [each for each in root.iter(f"{SVG}rect") if "segment" in str(each.get("class"))]


def hints(root: ElementTree.Element) -> list[str]:
    return [each.findtext(f"{SVG}title") or "" for each in segments(root)]


@given(st.dictionaries(st.text(max_size=20), PARTS, max_size=15), st.integers(1, 12))
def test_segments_follow_each_other_inside(amounts: dict[str, dict[str, float]], most: int) -> None:
    bars = StackedBars(amounts=amounts, most=most)
    root = drawn(bars)
    assert draw_stacked_bars(bars) == draw_stacked_bars(bars)
    rows = defaultdict(list)
    for each in segments(root):
        x, width = float(each.get("x", "")), float(each.get("width", ""))
        rows[each.get("y")].append((x, x + width))
    assert len(rows) <= most + 1
    for ends in rows.values():
        assert ends == sorted(ends)
        assert ends[-1][1] <= bars.width + 5
    assert len(texts(root, "label")) == min(len(amounts), most + 1)


def test_the_largest_are_first_and_the_rest_is_one_bar() -> None:
    amounts = {f"s{n}": {"compute": float(n)} for n in range(1, 8)}
    root = drawn(StackedBars(amounts=amounts, most=3))
    assert texts(root, "label") == ["s7", "s6", "s5", "4 others"]
    assert texts(root, "tick") == ["7", "6", "5", "10"]
    # One other has its name.
    assert texts(drawn(StackedBars(amounts=amounts, most=6)), "label")[-1] == "s1"


def test_a_legend_names_the_parts_by_their_size() -> None:
    amounts = {"a": {"small": 1.0, "large": 5.0}, "b": {"large": 2.0}}
    root = drawn(StackedBars(amounts=amounts, write=lambda amount: f"{amount:.2f} USD"))
    assert texts(root, "name") == ["large", "small"]
    assert hints(root) == ["a, large: 5.00 USD", "a, small: 1.00 USD", "b, large: 2.00 USD"]
    assert texts(drawn(StackedBars(amounts={"a": {"": 1.0}})), "name") == []


@pytest.mark.parametrize(("count", "last"), [(6, "p5"), (7, "other parts"), (9, "other parts")])
def test_there_are_six_parts_at_most(count: int, last: str) -> None:
    amounts = {"a": {f"p{n}": float(10 - n) for n in range(count)}}
    root = drawn(StackedBars(amounts=amounts))
    assert len(texts(root, "name")) == len(segments(root)) == 6
    assert texts(root, "name")[-1] == last
    assert texts(root, "tick") == [f"{sum(10 - n for n in range(count))}"]


def test_a_credit_reduces_the_total_only() -> None:
    root = drawn(StackedBars(amounts={"a": {"compute": 5.0, "credit": -2.0}}))
    assert texts(root, "tick") == ["3"]
    assert len(segments(root)) == 1


def test_a_bar_can_be_a_link() -> None:
    root = drawn(StackedBars(amounts={"a": {"": 1.0}, "b": {"": 0.0}}, links={"a": "/stages/a"}))
    (link,) = root.iter(f"{SVG}a")
    assert (link.get("href"), link.get("aria-label")) == ("/stages/a", "a: 1")


def test_nothing_to_draw_is_said() -> None:
    assert texts(drawn(StackedBars(amounts={}))) == ["no data"]
