from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from tests.support.svg import checked, elements, texts
from tidemill.core.errors import UsageError
from tidemill.workflow.gate import Curve, Daily, Scores, Slice
from tidemill.workflow.score_charts import curve_chart, daily_chart, slices_chart, stepped

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
ROC: Curve = {
    "false_positive_rate": (0.0, 0.5, 1.0),
    "true_positive_rate": (0.5, 0.9, 1.0),
    "threshold": (0.9, 0.5, 0.1),
}
CALIBRATION: Curve = {"predicted": (0.1, 0.7), "actual": (0.2, 0.6), "rows": (10.0, 12.0)}


def scored(
    days: tuple[str, ...] = DAYS, slices: int = 2, curves: dict[str, Curve] | None = None
) -> Scores:
    values = tuple(1.0 + n for n in range(len(days)))
    return Scores(
        rows=30,
        metrics={"mae": 2.0, "<b>": math.nan},
        by="shop",
        slices=tuple(
            Slice(value=f"<{n}>", rows=10 + n, metrics={"mae": 1.5 + n, "<b>": 0.0})
            for n in range(slices)
        ),
        daily=Daily(days=days, rows=(10,) * len(days), metrics={"mae": values}),
        curves=curves or {},
    )


def test_scores_draw_themselves() -> None:
    html = scored(curves={"roc": ROC, "calibration": CALIBRATION})._repr_html_()
    assert html.count("<svg") == 4
    assert "<b>" not in html
    assert "&lt;b&gt;</th>" in html
    for svg in re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL):
        checked(svg)
    # Several drawings are on one page.
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids)) == 8


def test_scores_without_anything_to_draw() -> None:
    html = Scores(rows=3, metrics={"mae": 1.0})._repr_html_()
    assert "<svg" not in html
    assert '<td class="n">3</td>' in html
    assert "<svg" not in Scores(rows=0, metrics={})._repr_html_()


def test_many_slices_are_counted() -> None:
    many = scored(slices=40)
    assert "without 10 slices more" in many._repr_html_()
    chart = slices_chart(many, "mae")
    assert chart.notes == ("The 30 slices with the most rows, of 40.",)
    # Those with the fewest rows come first here, and are left out.
    assert texts(checked(chart.svg), "label")[0] == "<10>"


def test_days_are_dates_or_any_names() -> None:
    dated = checked(daily_chart(scored(), "mae").svg)
    assert "2026" in texts(dated, "tick")
    hints = [dot[0].text for dot in elements(dated, "dot")]
    assert hints == [f"{day}: {n}" for n, day in enumerate(DAYS, 1)]
    named = checked(daily_chart(scored(("a", "b", "c")), "mae").svg)
    assert "2026" not in texts(named, "tick")
    assert "2" in texts(named, "tick")
    assert texts(checked(daily_chart(scored(()), "mae").svg), "label") == []


def dots(root: ElementTree.Element) -> int:
    return len(elements(root, "dot"))


def test_calibration_is_drawn_as_points() -> None:
    root = checked(
        curve_chart({"": scored(curves={"calibration": CALIBRATION})}, "calibration").svg
    )
    assert dots(root) == 3
    assert {"calibrated", "observed", "mean prediction", "mean outcome"} <= set(texts(root, "name"))
    assert "100%" in texts(root, "tick")
    minutes = {name: tuple(10 * v for v in column) for name, column in CALIBRATION.items()}
    plain = checked(curve_chart({"": scored(curves={"calibration": minutes})}, "calibration").svg)
    assert "100%" not in texts(plain, "tick")


def test_several_models_have_their_names() -> None:
    chart = curve_chart(
        {"live": scored(curves={"roc": ROC}), "<candidate>": scored(curves={"roc": ROC})},
        "roc",
        title="Mine",
    )
    shown = texts(checked(chart.svg), "name")
    assert {"guessing", "live", "<candidate>"} <= set(shown)
    assert (chart.title, chart.subtitle) == ("Mine", "live: 30 rows, <candidate>: 30 rows")


@pytest.mark.parametrize(
    ("name", "curve", "lines"),
    [
        ("roc", ROC, 1),
        ("precision_recall", {"precision": (1.0, 0.5), "recall": (0.5, 1.0)}, 1),
        ("lift", {"share": (0.5, 1.0), "gain": (0.8, 1.0), "lift": (1.6, 1.0)}, 1),
        # A curve of a user, and curves without points: one class only.
        ("mine", {"a": (1.0, 2.0), "b": (30.0, 40.0)}, 1),
        ("mine", {}, 0),
        ("roc", {name: () for name in ROC}, 0),
        ("precision_recall", {}, 0),
        ("calibration", {}, 0),
    ],
)
def test_curves(name: str, curve: Curve, lines: int) -> None:
    root = checked(curve_chart({"": scored(curves={name: curve})}, name).svg)
    assert len(elements(root, "line")) == lines


def test_steps() -> None:
    assert stepped([0.5, 1.0], [1.0, 0.5]) == ([0.0, 0.0, 0.5, 0.5, 1.0], [1.0, 1.0, 1.0, 0.5, 0.5])


def test_a_curve_that_is_not_recorded_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no curve 'rc' \(.*'roc'"):
        curve_chart({"": scored(curves={"roc": ROC})}, "rc")
    with pytest.raises(UsageError, match=r"add one: tm.scores\(\.\.\., tm.roc"):
        curve_chart({"": scored()}, "roc")
