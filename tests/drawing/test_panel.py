from __future__ import annotations

import math

import pytest

from tests.support.svg import elements, parsed, texts
from tidemill.drawing.axes import Axis
from tidemill.drawing.histogram import Bins
from tidemill.drawing.layer import PanelLayer, Swatch
from tidemill.drawing.line import Line, ReferenceLine
from tidemill.drawing.panel import draw_panel, legend
from tidemill.drawing.scatter import Scatter
from tidemill.drawing.svg import Hue


@pytest.mark.parametrize("y", [[], [math.nan], [math.inf]])
def test_nothing_to_draw_says_so(y: list[float]) -> None:
    drawing = draw_panel([Line(x=range(len(y)), y=y)], x=Axis(), y=Axis())
    assert texts(parsed(drawing), "empty") == ["no data"]
    assert texts(parsed(draw_panel([], x=Axis(), y=Axis())), "empty") == ["no data"]


def test_a_legend_names_every_layer_as_it_looks() -> None:
    layers: list[PanelLayer] = [
        ReferenceLine(start=(0, 0), end=(1, 1), name="perfect"),
        Line(x=[0, 1], y=[0, 1], name="line"),
        Line(x=[0, 1], y=[0, 1], name="dashes", dashed=True),
        Scatter(x=[0], y=[0], name="points"),
        Bins(edges=[0, 1], heights=[1], name="bars"),
        Line(x=[0, 1], y=[0, 1]),
    ]
    root = parsed(draw_panel(layers, x=Axis(label="across"), y=Axis(label="up")))
    assert texts(root, "name") == ["perfect", "line", "dashes", "points", "bars", "up", "across"]
    assert len(elements(root, "dashed line")) == 2


def test_one_name_needs_no_legend() -> None:
    assert legend([("a", Hue.BLUE, Swatch.LINE)], 500).markup == ""


def test_a_legend_takes_as_many_lines_as_it_needs() -> None:
    entries = [(f"{n} {'long name ' * 3}", Hue.BLUE, Swatch.LINE) for n in range(9)]
    wide, narrow = legend(entries, 2_000), legend(entries, 300)
    assert wide.height < narrow.height
    assert "…" in legend([*entries, ("x" * 999, Hue.RED, Swatch.DOT)], 300).markup


def test_the_same_values_give_the_same_text() -> None:
    def made() -> str:
        return draw_panel([Line(x=[1, 2], y=[3, 4], name="a")], x=Axis(), y=Axis()).markup

    assert made() == made()
