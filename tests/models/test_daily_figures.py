"""Figures of each day, and the value of a metric without each day."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import UsageError
from tidemill.models.daily_figures import (
    daily_figures,
    mean_shapes,
    with_days,
)
from tidemill.models.intervals import MAX_BLOCKS, day_blocks, leave_out
from tidemill.models.metrics import scores

ERROR = pl.col("prediction") - pl.col("y")
METRICS: dict[str, Any] = {
    "mae": ERROR.abs().mean(),
    "rmse": (ERROR**2).mean().sqrt(),
    "worst": ERROR.abs().max(),
    "median": ERROR.abs().median(),
    "total": ERROR.sum(),
    "spread": ((pl.col("y") - pl.col("y").mean()) ** 2).mean(),
    "some": pl.col("y").filter(pl.col("y") > 0).mean(),
    "counted": pl.len(),
    "known": pl.col("maybe").mean(),
}
FIRST = date(2026, 1, 1)


def rows_of(*days: tuple[float | None, ...]) -> pl.DataFrame:
    """Rows whose prediction is 0 and whose label is given, by day."""
    table = [
        (FIRST + timedelta(days=number), 0.0, 1.0 if y is None else y, y)
        for number, labels in enumerate(days)
        for y in labels
    ]
    schema = {"day": pl.Date, "prediction": pl.Float64, "y": pl.Float64, "maybe": pl.Float64}
    return pl.DataFrame(table, schema=schema, orient="row")


labels = st.one_of(st.none(), st.integers(-20, 20).map(float))


@given(st.lists(st.lists(labels, min_size=1, max_size=4).map(tuple), min_size=2, max_size=6))
def test_without_a_day_a_metric_is_that_of_the_other_days(days: list[tuple[float | None]]) -> None:
    frame = rows_of(*days)
    daily = scores(frame.lazy(), day="day", **METRICS).daily
    assert daily is not None
    assert daily.rows == tuple(map(len, days))
    for name, expression in METRICS.items():
        alone = [part.select(expression).item() for part in frame.partition_by("day")]
        assert daily.metrics[name] == pytest.approx([_number(v) for v in alone], nan_ok=True)
        others = [
            frame.filter(pl.col("day") != FIRST + timedelta(days=n)).select(expression).item()
            for n in range(len(days))
        ]
        found = leave_out(daily, name)
        assert found == pytest.approx([_number(v) for v in others], abs=1e-7, nan_ok=True)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def test_a_mean_needs_no_second_pass_and_its_root_neither() -> None:
    daily = scores(rows_of((1.0, 2.0), (5.0,), (7.0, 3.0)).lazy(), day="day", **METRICS).daily
    assert daily is not None
    assert daily.roots == ("rmse",)
    assert sorted(daily.without) == ["counted", "median", "some", "spread", "total", "worst"]


def test_many_days_are_left_out_in_blocks() -> None:
    frame = rows_of(*((float(n % 7),) for n in range(150)))
    daily = scores(frame.lazy(), day="day", **METRICS).daily
    assert daily is not None
    assert len(daily.days) == 150
    assert {len(leave_out(daily, name)) for name in METRICS} == {MAX_BLOCKS}
    first = frame[2:]
    for name, expression in METRICS.items():
        assert leave_out(daily, name)[0] == pytest.approx(first.select(expression).item())


@given(st.integers(0, 500))
def test_blocks_cover_all_days_in_order(count: int) -> None:
    blocks = day_blocks(range(count))
    assert len(blocks) == min(count, MAX_BLOCKS)
    assert [day for start, stop in blocks for day in range(start, stop)] == [*range(count)]
    assert all(start < stop for start, stop in blocks)


def test_a_day_may_be_a_moment_or_a_text() -> None:
    times = pl.DataFrame({"at": [datetime(2026, 1, 1, 5), datetime(2026, 1, 1, 23)]})
    assert with_days(times, "at")["_tidemill_day"].to_list() == ["2026-01-01"] * 2
    text = pl.DataFrame({"week": ["w1", "w2"]})
    assert with_days(text, "week")["_tidemill_day"].to_list() == ["w1", "w2"]


def test_rows_without_a_day_are_refused() -> None:
    frame = pl.LazyFrame({"day": [FIRST, None], "y": [1.0, 2.0]})
    with pytest.raises(UsageError, match=r"day='day': 1 row of 2 have no day; drop them"):
        scores(frame, day="day", mean=pl.col("y").mean())


def test_no_rows_have_no_days() -> None:
    none = with_days(rows_of(), "day")
    daily = daily_figures(none, METRICS, mean_shapes(none, METRICS))
    assert (daily.days, daily.rows, daily.without) == ((), (), dict.fromkeys(daily.without, ()))


def test_slices_have_days_of_their_own() -> None:
    frame = rows_of((1.0, 2.0), (5.0,)).with_columns(who=pl.Series(["a", "b", "a"]))
    found = scores(frame.lazy(), by="who", day="day", mae=METRICS["mae"])
    a, b = (part.daily for part in found.slices)
    assert a is not None
    assert b is not None
    assert (a.days, b.days) == (("2026-01-01", "2026-01-02"), ("2026-01-01",))
    assert a.metrics == {"mae": (1.0, 5.0)}
