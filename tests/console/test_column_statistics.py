"""The statistics of columns of any type."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
import pytest

from tidemill.console.column_figures import ColumnFigures, picture_of_shares
from tidemill.console.column_statistics import figures_of
from tidemill.contracts.profiles.partition_profile import profile_frame


def figures(values: Sequence[object], dtype: object) -> ColumnFigures:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})  # type: ignore[arg-type]
    return figures_of(profile_frame(frame)["x"])


@pytest.mark.parametrize(
    ("values", "dtype", "least", "most", "measure"),
    [
        ([1, 2, 9], pl.Int64, "1", "9", "number"),
        ([0.5, 2.5], pl.Float64, "0.5", "2.5", "number"),
        ([Decimal("1.50"), Decimal("2.00")], pl.Decimal(9, 2), "1.50", "2.00", "number"),
        ([date(2024, 1, 1), date(2024, 3, 1)], pl.Date, "2024-01-01", "2024-03-01", "day"),
        (
            [datetime(2024, 1, 1), datetime(2024, 1, 2)],
            pl.Datetime("ms"),
            "2024-01-01 00:00:00 UTC",
            "2024-01-02 00:00:00 UTC",
            "time",
        ),
        ([timedelta(hours=1), timedelta(hours=3)], pl.Duration, "1:00:00", "3:00:00", "number"),
        ([time(1), time(2)], pl.Time, "1:00:00", "2:00:00", "number"),
        ([True, False], pl.Boolean, "false", "true", "number"),
        (["a", "b"], pl.String, "a", "b", "number"),
        ([[1], [1, 2]], pl.List(pl.Int64), None, None, "length"),
        ([b"a", b"abc"], pl.Binary, None, None, "length"),
        ([None, None], pl.Float64, None, None, "number"),
        ([], pl.Int64, None, None, "number"),
    ],
)
def test_columns(
    values: list[object], dtype: object, least: str | None, most: str | None, measure: str
) -> None:
    found = figures(values, dtype)
    assert (found.least, found.most) == (least, most)
    assert found.shares.measure == measure
    if found.shares.now:
        shares = json.loads(json.dumps(dataclasses.asdict(found.shares)))
        drawn = picture_of_shares("x", "p", shares)
        assert drawn.startswith("<svg")
        assert "style=" not in drawn


def test_missing_values_and_quantiles() -> None:
    found = figures([1.0, None, float("nan"), 3.0], pl.Float64)
    assert (found.missing, found.nans, found.mean, found.deviation) == (2, 1, 2.0, 2**0.5)
    whole = figures([*range(101)], pl.Int64)
    assert [(each.share, each.value) for each in whole.quantiles][3] == (0.5, "50")


@pytest.mark.parametrize(
    ("tail", "beyond"),
    [
        ([], ""),
        ([9_999], "the last bar has all above it"),
        ([-9_999], "the first bar has all below it"),
        ([-9_999, 9_999], "the bars at the ends have all beyond them"),
    ],
)
def test_bars_that_have_values_from_beyond_say_so(tail: list[int], beyond: str) -> None:
    found = figures([*range(1_000)] * 3 + tail, pl.Int64)
    assert found.shares.beyond == beyond
    shares = json.loads(json.dumps(dataclasses.asdict(found.shares)))
    assert (beyond in picture_of_shares("n", "p", shares)) is True


def test_one_value_is_shown_exactly() -> None:
    assert figures([7, 7], pl.Int64).shares.names == ("7",)
    assert figures([0.8, 0.8], pl.Float64).shares.names == ("0.8",)
    assert figures([[1, 2]], pl.List(pl.Int64)).shares.names == ("length 2",)


def test_frequent_values() -> None:
    found = figures(["a"] * 3 + ["<b>"], pl.String)
    assert [(each.value, each.count, each.share) for each in found.top] == [
        ("a", 3, 0.75),
        ("<b>", 1, 0.25),
    ]
    shares = json.loads(json.dumps(dataclasses.asdict(found.shares)))
    assert "<b>" not in picture_of_shares("<i>", "p", shares)
