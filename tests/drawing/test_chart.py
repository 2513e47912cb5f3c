from __future__ import annotations

import re

import pytest

from tests.drawing.test_svg import contrast
from tests.support.svg import SVG, checked, texts
from tidemill.drawing.chart import Chart, plot_style
from tidemill.drawing.svg import Drawing, Hue

DRAWING = Drawing(width=200, height=50, markup="<g/>")


def test_a_chart_is_an_image_with_a_title_and_a_description() -> None:
    chart = Chart(title="A & <b>", drawing=DRAWING, description="what\x1b <it> shows")
    root = checked(chart.svg)
    assert root.get("role") == "img"
    title, description = root.findall(f"{SVG}title") + root.findall(f"{SVG}desc")
    assert (title.text, description.text) == ("A & <b>", "what\ufffd <it> shows")
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


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


def test_the_style_sheet_affects_nothing_else() -> None:
    rules = re.sub(r"@media[^{]*\{(.*?\})\}", r"\1", plot_style())
    selectors = [
        each for rule in rules.split("}") if rule for each in rule.split("{")[0].split(",")
    ]
    assert [each for each in selectors if ".tm-plot" not in each] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_and_texts_stand_out(scheme: str) -> None:
    blocks = re.findall(r"\.tm-plot\{(--[^}]*)\}", plot_style())
    colours = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", blocks[scheme == "dark"]))
    assert min(contrast(colours[name], colours["paper"]) for name in ("ink", "soft")) >= 4.5
    assert min(contrast(colours[hue], colours["paper"]) for hue in Hue) >= 3


def test_every_variable_has_a_colour_before_it() -> None:
    uses = re.findall(r"([a-z-]+):(#[0-9a-f]{6});\1:var\(--([a-z-]+)\)", plot_style())
    assert len(uses) == plot_style().count("var(") > 10
    light = dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", plot_style().partition("@media")[0]))
    assert all(colour == light[name] for _, colour, name in uses)
