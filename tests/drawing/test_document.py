from __future__ import annotations

import re

import pytest

from tests.support.svg import SVG, checked, checked_element
from tidemill.drawing.axes import Axis
from tidemill.drawing.bars import draw_bars
from tidemill.drawing.document import document, page_element
from tidemill.drawing.dots import draw_dots
from tidemill.drawing.histogram import Bins
from tidemill.drawing.layer import PanelLayer
from tidemill.drawing.line import Line, ReferenceLine
from tidemill.drawing.panel import draw_panel
from tidemill.drawing.rows import LabelledRow, Measured, RowChart
from tidemill.drawing.scatter import Scatter
from tidemill.drawing.style_sheet import SCOPE, page_css
from tidemill.drawing.svg import Drawing

DRAWING = Drawing(width=200, height=50, markup='<path class="edge" d="M0 0H9"/>')
LINKS = Drawing(width=9, height=9, markup='<a href="/x"><path class="edge" d="M0 0H9"/></a>')


def test_a_document_is_an_image_with_a_title() -> None:
    root = checked(document(DRAWING, title="A & B", description="<both>"))
    assert root.get("role") == "img"
    assert (root.get("width"), root.get("height")) == ("240", "90")
    named = {element.get("id"): element.text for element in root}
    assert (named["tm-title"], named["tm-description"]) == ("A & B", "<both>")
    assert root.get("aria-labelledby") == "tm-title"
    assert root.get("aria-describedby") == "tm-description"


def test_a_document_asks_for_nothing_from_elsewhere() -> None:
    made = document(DRAWING, title="t", description="d").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?:|@import|url\((?!#)|href", made) == []


def test_a_page_element_has_its_size_and_ids_of_its_own() -> None:
    root = checked_element(page_element(DRAWING, prefix="g1", title="A & B", description="<both>"))
    assert root.get("viewBox") == "0 0 204 54"
    assert (root.get("width"), root.get("height")) == ("204", "54")
    assert root.get("class") == "tm-drawing"
    assert {each.get("id") for each in root} == {"g1-title", "g1-description", None}


def test_a_description_is_left_out_if_there_is_none() -> None:
    root = checked_element(page_element(DRAWING, prefix="a", title="t"))
    assert root.find(f"{SVG}desc") is None
    assert root.get("aria-describedby") is None


def test_an_element_with_links_is_no_image_for_screen_readers() -> None:
    assert checked_element(page_element(LINKS, prefix="a", title="t")).get("role") == "group"


def test_the_same_drawing_gives_the_same_bytes() -> None:
    made = [page_element(DRAWING, prefix="a", title="t") for _ in range(2)]
    assert made[0] == made[1]


def panel(*layers: PanelLayer) -> Drawing:
    return draw_panel(layers, x=Axis(), y=Axis())


ROWS = RowChart(rows=[LabelledRow(label="a", values=[Measured(value=1, low=0, high=2)])])


@pytest.mark.parametrize(
    "drawing",
    [
        panel(Line(x=[1, 2], y=[3, 4], low=[2, 3], high=[4, 5])),
        panel(
            Line(x=[1, 2], y=[3, 4], name="a"), ReferenceLine(start=(1, 3), end=(2, 4), name="b")
        ),
        panel(Bins(edges=[0, 1], heights=[2])),
        panel(Bins(edges=[0, 1], heights=[2], outline=True)),
        panel(Scatter(x=[1], y=[2], low=[1], high=[3])),
        panel(Scatter(x=[*range(3_000)], y=[*range(3_000)])),
        panel(),
        draw_bars(ROWS),
        draw_dots(ROWS),
    ],
    ids=["band", "lines", "bins", "outline", "scatter", "cells", "empty", "bars", "dots"],
)
def test_charts_need_only_classes_of_the_style_sheet(drawing: Drawing) -> None:
    root = checked_element(page_element(drawing, prefix="c", title="t"))
    used = {name for each in root.iter() for name in str(each.get("class") or "").split()}
    assert used <= {SCOPE, *re.findall(r"\.([a-z][a-z0-9-]*)", page_css())}
