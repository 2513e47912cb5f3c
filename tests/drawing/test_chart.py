from __future__ import annotations

import re

from tests.support.svg import SVG, checked, checked_element, texts
from tidemill.drawing.chart import Chart
from tidemill.drawing.svg import Drawing

DRAWING = Drawing(width=200, height=50, markup="<g/>")


def test_a_chart_is_an_image_with_a_title_and_a_description() -> None:
    chart = Chart(title="A & <b>", drawing=DRAWING, description="what\x1b <it> shows")
    root = checked(chart.svg)
    assert root.get("role") == "img"
    title, description = root.findall(f"{SVG}title") + root.findall(f"{SVG}desc")
    assert (title.text, description.text) == ("A & <b>", "what\ufffd <it> shows")
    assert root.get("aria-labelledby") == title.get("id")
    assert root.get("aria-describedby") == description.get("id")


def test_charts_of_one_page_have_different_ids() -> None:
    one = Chart(title="a", drawing=DRAWING, description="")
    other = Chart(title="b", drawing=DRAWING, description="")
    ids = [re.findall(r'id="([^"]+)"', chart.svg) for chart in (one, other)]
    assert set(ids[0]).isdisjoint(ids[1])
    assert one.svg == Chart(title="a", drawing=DRAWING, description="").svg


def test_captions_are_broken_into_lines() -> None:
    long = "a sentence of several words that is wider than the drawing " * 2
    short = Chart(title="a", drawing=DRAWING, description="")
    whole = Chart(title=long, drawing=DRAWING, description="", subtitle=long, notes=(long, "end"))
    shown = texts(checked(whole.svg))
    assert "".join(shown).count("several") == 6
    assert shown[-1] == "end"
    assert len(whole.svg) > len(short.svg)
    assert "x…" in texts(checked(Chart(title="x" * 99, drawing=DRAWING, description="").svg))[0]


def test_notebooks_get_the_document() -> None:
    chart = Chart(title="a", drawing=DRAWING, description="")
    assert chart._repr_svg_() == chart.svg
    assert chart.svg in chart._repr_html_()


def test_a_page_gets_an_element_without_style() -> None:
    chart = Chart(title="a", drawing=DRAWING, description="of it", notes=("a note",))
    root = checked_element(chart.page_element("one"))
    assert root.get("aria-labelledby") == "one-title"
    assert texts(root) == ["a", "a note"]
