"""Numbers over time are drawn, and sent to the script of pages as they are drawn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidemill.console.io.drawn_pages import chart_figure
from tidemill.console.page_series import (
    PageSeries,
    SeriesLine,
    day_times,
    draw_series,
    series_json,
)
from tidemill.drawing.svg import Hue

HOSTILE = '"><script>alert(1)</script>\u202e'
DAYS = ("2026-11-01", "2026-11-02", "2026-11-03")


def series(**changed: Any) -> PageSeries:
    given: dict[str, Any] = {
        "label": "EUR",
        "times": day_times(DAYS),
        "lines": (
            SeriesLine(name=HOSTILE, values=(1.0, None, float("nan")), texts=("1", "", HOSTILE)),
            SeriesLine(name="b", values=(2.0, 3.0, 4.0), texts=("2", "3", "4"), hue=Hue.TEAL),
        ),
        **changed,
    }
    return PageSeries(**given)


def test_the_script_gets_what_is_drawn() -> None:
    found = json.loads(series_json(series()))
    assert found["times"][1] - found["times"][0] == 86_400
    assert [line["values"] for line in found["lines"]] == [[1.0, None, None], [2.0, 3.0, 4.0]]
    assert found["lines"][1]["hue"] == "teal"
    assert "\u202e" not in found["lines"][0]["name"] + found["lines"][0]["texts"][2]


@pytest.mark.parametrize("are_stacked", [False, True])
def test_no_text_ends_its_attribute_or_hides_others(are_stacked: bool) -> None:
    drawn = draw_series(series(are_stacked=are_stacked), title=HOSTILE, description=HOSTILE)
    page = chart_figure(drawn, "p")
    assert "<script" not in page
    assert "\u202e" not in page
    assert 'id="p-series"' in page
    assert "nan" not in page.lower()


def test_bars_of_a_day_stand_on_each_other() -> None:
    lines = tuple(
        SeriesLine(name=name, values=(1.0, None, 2.0), texts=("1", "", "2")) for name in "ab"
    )
    drawn = draw_series(series(are_stacked=True, lines=lines), title="t")
    # Two of each line, and two in the legend.
    assert drawn.chart.drawing.markup.count('class="solid"') == 6


def test_what_is_no_day_has_no_time() -> None:
    assert day_times(["monday"]) is None
    assert chart_figure(None, "p") == ""
