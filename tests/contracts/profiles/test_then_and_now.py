from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.svg import checked, elements, texts
from tests.support.thoroughness import examples
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import ColumnProfile
from tidemill.contracts.profiles.then_and_now import then_and_now
from tidemill.drawing.chart import Chart

DAY = date(2026, 1, 1)


def profile(values: pl.Series) -> ColumnProfile:
    return profile_frame(values.alias("x").to_frame())["x"]


def chart(then: pl.Series, now: pl.Series) -> Chart:
    return then_and_now(profile(then), profile(now))


def heights(drawn: Chart) -> list[float]:
    _in_legend, *bars = elements(checked(drawn.svg), "fill")
    return [float(bar.attrib["height"]) for bar in bars]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([1.5, 2.5, None, math.nan]),
        pl.Series([1, 2, 2, 7]),
        pl.Series([2**63, 2**64 - 1], dtype=pl.UInt64),
        pl.Series([DAY, DAY + timedelta(days=40)]),
        pl.Series([datetime(2026, 1, 1), datetime(2026, 1, 2)], dtype=pl.Datetime("ns")),
        pl.Series([datetime(2026, 1, 1), datetime(2026, 1, 2)], dtype=pl.Datetime("ms", "UTC")),
        pl.Series([timedelta(hours=1), timedelta(hours=3)]),
        pl.Series(["a", "<b>", None]),
        pl.Series(["a", "b", "a"], dtype=pl.Enum(["a", "b", "c"])),
        pl.Series([True, False, None]),
        pl.Series([None, None], dtype=pl.Float64),
        pl.Series([], dtype=pl.String),
        pl.Series([math.inf, -math.inf, 1.0]),
        pl.Series([3.0, 3.0]),
        pl.Series([1e300, -1e300]),
        pl.Series([[1], [2, 3]]),
    ],
)
def test_columns_of_any_type_can_be_drawn(values: pl.Series) -> None:
    checked(chart(values, values.head(1)).svg)
    checked(chart(values, values.clear()).svg)


@settings(max_examples=examples(25))
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_any_numbers_can_be_drawn(values: list[float]) -> None:
    series = pl.Series(values, dtype=pl.Float64)
    checked(chart(series, series.reverse()).svg)


def test_whole_numbers_have_a_bin_each_with_their_share() -> None:
    drawn = chart(pl.Series([0] * 60 + [1] * 30 + [2] * 10), pl.Series([0, 1, 2]))
    bars = heights(drawn)
    assert [round(bar / bars[0], 2) for bar in bars[:3]] == [1, 0.5, 0.17]


def test_one_value_is_one_bar() -> None:
    drawn = chart(pl.Series([3.0] * 10), pl.Series([3.0] * 7))
    assert sum(height > 1 for height in heights(drawn)) == 1


def test_values_beyond_are_counted_in_a_note() -> None:
    values = pl.Series([float(i % 10) for i in range(1_000)] + [1e9])
    drawn = chart(values, values)
    assert drawn.notes == ("Beyond this range: 0.1% of values then, 0.1% now.",)
    assert max(heights(drawn)) > 20
    even = pl.Series([float(i) for i in range(100)])
    assert chart(even, even).notes == ()


def test_missing_values_are_told_apart_from_none() -> None:
    assert (
        "missing then 50.0%, now 0.0%" in chart(pl.Series([1.0, None]), pl.Series([1.0])).subtitle
    )
    assert "missing then -" in chart(pl.Series([], dtype=pl.String), pl.Series(["a"])).subtitle


def test_categories_are_in_order_of_their_shares() -> None:
    drawn = chart(pl.Series(["a"] * 3 + ["b"]), pl.Series(["b"] * 9 + ["c"]))
    assert texts(checked(drawn.svg), "label") == ["b", "a", "c"]
    assert drawn.notes == ()


def test_a_value_that_is_not_listed_has_no_bar() -> None:
    many = pl.Series([f"k{i % 700}" for i in range(2_000)] + ["k1"] * 50)
    other = pl.Series([f"z{i % 700}" for i in range(2_000)] + ["z1"] * 50)
    drawn = chart(many, other)
    assert "Without a bar" in drawn.notes[0]
    assert texts(checked(drawn.svg), "label")[-1] == "other values"


def test_a_part_without_values_and_one_of_infinities_only() -> None:
    known = profile(pl.Series([1.0, 2.0]))
    assert known.histogram is not None
    grids = {"x": known.histogram.grid}
    empty = profile_frame(pl.DataFrame({"x": []}, schema={"x": pl.Float64}), grids)["x"]
    infinite = profile_frame(pl.DataFrame({"x": [math.inf]}), grids)["x"]
    for one, other in ((empty, known), (empty, empty), (infinite, infinite)):
        checked(then_and_now(one, other).svg)
