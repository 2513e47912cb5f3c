"""Scores are drawn from documents, where null stands for what isn't a number."""

from __future__ import annotations

import json
from typing import Any

from tidemill.console.page_series import SeriesChart
from tidemill.console.score_drawings import (
    gain_chart,
    moved_chart,
    score_charts,
    version_charts,
)
from tidemill.core.json_values import to_json_values
from tidemill.drawing.chart import Chart

INTERVAL = {"value": 2.0, "low": 1.0, "high": None, "confidence": 0.95, "days": 3}


def card(**changed: Any) -> dict[str, Any]:
    metric = {"name": "mae", "value": 2.0, "best": "low", "interval": None, "threshold": ""}
    return {
        "rows": 40,
        "metrics": [{**metric, "name": "odd", "value": None}, metric],
        "by": "<script>",
        "slices": [
            {"value": "\u202enorth", "rows": 30, "metrics": [{**metric, "interval": INTERVAL}]},
            {"value": "south", "rows": 10, "metrics": [{**metric, "value": None}]},
        ],
        "slice_count": 50,
        "days": ["2026-01-01", "2026-01-02"],
        "daily": {"mae": [1.0, None]},
        "curves": {"calibration": {"predicted": [0.1, None], "actual": [0.2, 0.3]}, "lift": {"share": []}},
        **changed,
    }  # fmt: skip


def test_a_version_is_drawn_by_day_by_slice_and_by_curve() -> None:
    drawn = score_charts({"": card()})
    by_day, *others = drawn
    assert isinstance(by_day, SeriesChart)
    assert [line.texts for line in by_day.series.lines] == [("1", ""), ()]
    charts = [by_day.chart, *(chart for chart in others if isinstance(chart, Chart))]
    assert [chart.title for chart in charts] == ["mae by day", "mae by <script>", "Calibration"]
    markup = "".join(chart.page_element("a") for chart in charts)
    assert "<script>" not in markup
    assert "\u202e" not in markup
    assert "nan" not in markup.lower()
    assert charts[1].notes == ("The 2 slices with the most rows, of 50.",)


def test_two_versions_are_drawn_together_where_both_have_something() -> None:
    drawn = score_charts({"candidate": card(), "live": card(curves={}, slice_count=2)})
    titles = [chart.title for chart in drawn if isinstance(chart, Chart)]
    assert titles == ["mae by <script>", "Calibration"]


def test_what_is_no_date_has_no_series() -> None:
    [first, *_] = score_charts({"": card(days=["1", "2"])})
    assert isinstance(first, Chart)


def test_figures_of_versions_are_drawn_over_the_times_of_training() -> None:
    versions = [version(9.0, mae=2.0, new=1.0), version(5.0), version(3.0, mae=3.0)]
    [drawn] = version_charts(versions)
    assert drawn.chart.title == "mae by version"
    assert drawn.chart.subtitle == "when each was trained; all scored on the same 1,200 rows of May"
    assert drawn.series.times == (3.0, 9.0)
    assert drawn.series.lines[0].texts == ("3, version v3", "2, version v9")
    assert version_charts([]) == []


def version(at: float, digest: str = "same", **figures: float | None) -> dict[str, Any]:
    rows = {"rows": 1_200, "days": "May", "digest": digest}
    scored = dict.fromkeys(figures, rows)
    return {"version": f"v{at:.0f}", "trained_at": at, "figures": figures, "scored": scored}


def test_only_figures_of_the_same_rows_are_compared() -> None:
    versions = [version(9.0, mae=2.0), version(5.0, "other", mae=1.0), version(3.0, mae=3.0)]
    [drawn] = version_charts(versions)
    assert drawn.series.times == (3.0, 9.0)
    assert version_charts([version(9.0, "new", mae=2.0), *versions[1:]]) == []


def test_scores_without_a_figure_have_no_charts() -> None:
    nothing = card(metrics=[], slices=[], days=[], daily={}, curves={})
    assert score_charts({"": nothing}) == []


def test_gains_are_drawn_worst_first_beside_those_over_all_rows() -> None:
    def compared(slice: str, gain: float | None) -> dict[str, Any]:
        return {
            "metric": "mae",
            "slice": slice,
            "stage": "s",
            "rows": 9,
            "gain": gain,
            "interval": None,
        }

    rows = [compared("", 1.0), compared("a=1", 2.0), compared("a=2", -1.0), compared("a=3", None)]
    chart = gain_chart(rows, "mae", "v2")
    assert chart is not None
    assert chart.description == "Gain in mae: all rows +1; a=1 +2; a=2 -1"
    assert "right of zero v2 is better" in chart.subtitle
    assert gain_chart(rows, "rmse", "v2") is None
    many = [compared(f"a={n}", float(n)) for n in range(30)]
    drawn = gain_chart(many, "mae", "v2")
    assert drawn is not None
    assert drawn.notes == ("10 slices with a greater gain not drawn.",)


def test_rows_that_move_are_drawn_where_predictions_are_numbers() -> None:
    headers = ["day", "a long name of a column", ">live", ">candidate", ">moved by"]
    rows = [["2026-01-01", "x" * 40, "1.5", "2", "0.5"]]
    chart = moved_chart(headers, rows)
    assert chart is not None
    assert "1.5 to 2" in chart.description
    assert moved_chart(headers, [["2026-01-01", "x", "late", "on time", "another class"]]) is None
    assert moved_chart(headers, [["d", "x", "inf", "2", "inf"]]) is None
    assert moved_chart(headers, []) is None
    assert moved_chart(["day"], [["d"]]) is None
    json.dumps(to_json_values(chart))
