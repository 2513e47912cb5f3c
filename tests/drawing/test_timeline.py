from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import SVG, checked_element, texts
from tidemill.drawing.document import page_element
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.timeline import Timeline, TimelineBar, draw_timeline

SECONDS = st.floats(-100, 1e6) | st.just(float("nan"))


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    bars = st.builds(
        TimelineBar,
        lane=st.text(max_size=9),
        label=st.text(max_size=30),
        start=SECONDS,
        end=st.none() | SECONDS,
        status=st.sampled_from(DrawnStatus),
        outcome=st.text(max_size=9),
        href=st.just("/step"),
    )
    return Timeline(bars=draw(st.lists(bars, max_size=30)), now=draw(st.floats(0, 1e6)))


def drawn(timeline: Timeline) -> ElementTree.Element:
    return checked_element(page_element(draw_timeline(timeline), prefix="t", title="Steps"))


def links(root: ElementTree.Element) -> list[ElementTree.Element]:
    return root.findall(f".//{SVG}a")


def extents(root: ElementTree.Element) -> list[tuple[float, float, float]]:
    """Of each bar: its top, its left and its right."""
    found = []
    for link in links(root):
        bar = next(each for each in link if "bar" in str(each.get("class")).split())
        path = bar.get("d", "")
        start = re.match(r"M([\d.]+) ([\d.]+)", path)
        assert start is not None
        ends = [float(x) for x in re.findall(r"[HL]([\d.]+)", path)]
        found.append((float(start[2]), float(start[1]), max(ends)))
    return found


def bar(start: float, end: float | None, *, lane: str = "a", **more: str) -> TimelineBar:
    status = DrawnStatus(more.pop("status", "up to date"))
    return TimelineBar(
        lane=lane, label=more.pop("label", "s"), start=start, end=end, status=status, href="/x"
    )


@given(timelines())
def test_bars_are_inside_and_apart(timeline: Timeline) -> None:
    root = drawn(timeline)
    found = extents(root)
    assert all(0 <= left < right <= timeline.width for _, left, right in found)
    for (top, _, right), (below, left, _) in pairwise(sorted(found)):
        assert below > top or left >= right - 0.7


@given(timelines())
def test_the_same_timeline_gives_the_same_bytes(timeline: Timeline) -> None:
    assert draw_timeline(timeline) == draw_timeline(timeline)


def test_a_bar_says_what_it_is() -> None:
    step = TimelineBar(
        lane="sales",
        label="March",
        start=10,
        end=75,
        status=DrawnStatus.FAILED,
        outcome="refused",
        href="/x",
    )
    root = drawn(Timeline(bars=[step], now=0))
    (link,) = links(root)
    assert link.get("aria-label") == "March, sales, refused, 1 min 5 s"
    assert texts(root, "name inverse") == ["March"]
    assert link.find(f"{SVG}path[@class='glyph inverse']") is not None
    assert texts(root, "tick")[:2] == ["0 s", "15 s"]


def test_steps_that_ended_together_are_counted_by_how() -> None:
    bars = [replace(bar(0, 0.5), outcome="ok") for _ in range(30)]
    bars[3] = replace(bar(0, 0.5, status="failed"), outcome="refused")
    last = bar(0, 1000, label="last")
    root = drawn(Timeline(bars=[*bars, last], now=0))
    assert [each.get("aria-label") for each in links(root)] == [
        "30 steps: 1 refused, 29 ok", "last, a, up to date, 16 min 40 s",
    ]  # fmt: skip


def test_what_lasts_is_open_until_now() -> None:
    root = drawn(Timeline(bars=[bar(0, 10), bar(10, None, status="running")], now=20))
    ended, open_ = (each.get("aria-label") for each in links(root))
    assert (ended, open_) == ("s, a, up to date, 10 s", "s, a, running, 10 s until now")
    paths = [each.find(f"{SVG}path[@class='bar']") for each in links(root)]
    assert ["L" in (path.get("d", "") if path is not None else "") for path in paths] == [
        False,
        True,
    ]


def test_statuses_without_work_are_dashed() -> None:
    assert (
        "bar dashed-bar"
        in draw_timeline(Timeline(bars=[bar(0, 9, status="waiting")], now=0)).markup
    )


def test_lanes_are_in_their_order() -> None:
    bars = [bar(0, 1, lane="b"), bar(1, 2, lane="a"), bar(2, 3, lane="c")]
    assert texts(drawn(Timeline(bars=bars, now=0)), "label") == ["b", "a", "c"]
    in_order = Timeline(bars=bars, now=0, lanes=["a", "idle"])
    assert texts(drawn(in_order), "label") == ["a", "idle", "b", "c"]


def test_a_timeline_without_bars_says_so() -> None:
    assert "no data" in texts(drawn(Timeline(bars=[], now=0)))


@pytest.mark.parametrize("together", [False, True])
def test_too_many_bars_are_merged_and_counted(together: bool) -> None:
    bars = [bar(0 if together else n, n + 1 + together) for n in range(5_000)]
    bars[77] = bar(77, 78, status="failed")
    root = drawn(Timeline(bars=bars, now=0))
    names = [str(link.get("aria-label")) for link in links(root)]
    merged = [
        int(found[1].replace(",", ""))
        for each in names
        if (found := re.match(r"([\d,]+) steps", each))
    ]
    assert len(names) <= 2_000
    assert sum(merged) + len(names) - len(merged) == 5_000
    assert any("1 failed" in each or ", failed" in each for each in names)
    assert len({top for top, _, _ in extents(root)}) <= 24


def test_lanes_beyond_the_limit_have_a_bar_each() -> None:
    bars = [bar(n % 3, n % 3 + 1, lane=f"l{n % 2_100}") for n in range(4_200)]
    assert len(links(drawn(Timeline(bars=bars, now=0)))) == 2_100
