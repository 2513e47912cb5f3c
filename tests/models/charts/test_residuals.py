from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from tests.support.svg import checked, elements, texts
from tidemill.models.charts.residuals import residuals


def rows(count: int = 400) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "y": [10.0] * count,
            "prediction": [10.0 + (n % 4) + (n % 7) / 10 for n in range(count)],
            "shop": [f"<shop {n % 4}>" for n in range(count)],
            "hour": [n % 12 for n in range(count)],
            "x": [n / count for n in range(count)],
            "many": [f"s{n % 77:02}" for n in range(count)],
            "day": [date(2026, 1, 1) + timedelta(days=n // 40) for n in range(count)],
        }
    )


def labels(by: str) -> list[str]:
    return texts(checked(residuals(rows(), "y", by=by).svg), "label")


def test_slices_are_in_order() -> None:
    assert labels("shop") == ["<shop 0>", "<shop 1>", "<shop 2>", "<shop 3>"]
    # Numbers in theirs, not in that of text.
    assert labels("hour") == [str(n) for n in range(12)]
    assert labels("day")[0] == "2026-01-01"


def test_many_numbers_are_cut_into_ranges() -> None:
    found = labels("x")
    assert (len(found), found[0], found[-1]) == (10, "0 .. 0.0975", "0.9 .. 0.9975")


def test_of_many_slices_the_largest_are_drawn() -> None:
    chart = residuals(rows(), "y", by="many")
    assert len(texts(checked(chart.svg), "label")) == 30
    assert chart.notes == ("The 30 slices with the most rows, of 77.",)


def test_too_much_is_right_of_zero() -> None:
    chart = residuals(rows(), "y", by="shop", day="day", title="Mine")
    root = checked(chart.svg)
    [zero] = elements(root, "zero")
    at = float(zero.attrib["d"][1:].split()[0])
    assert all(float(dot.attrib["cx"]) > at for dot in elements(root, "dot"))
    assert len(elements(root, "whisker")) == 4
    assert (chart.title, "over days" in chart.subtitle) == ("Mine", True)
    assert "<shop 1>: 1.3 (1.284 to 1.316)" in chart.description


def test_missing_slices_have_a_name() -> None:
    frame = rows().with_columns(pl.lit(None, pl.String).alias("shop"))
    assert texts(checked(residuals(frame, "y", by="shop").svg), "label") == ["missing"]
    some = rows().with_columns(x=pl.when(pl.col("x") > 0.5).then("x"))
    assert "missing" in texts(checked(residuals(some, "y", by="x").svg), "label")
    few = rows().with_columns(hour=pl.when(pl.col("hour") > 8).then("hour"))
    assert texts(checked(residuals(few, "y", by="hour").svg), "label") == [
        "missing",
        "9",
        "10",
        "11",
    ]
