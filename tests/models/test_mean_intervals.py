from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.mean_intervals import grouped_means, mean_of, wilson


@pytest.mark.parametrize(
    ("successes", "rows", "low", "high"),
    # The table of Newcombe (1998), method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_wilson(successes: int, rows: int, low: float, high: float) -> None:
    assert wilson(successes, rows, 0.95) == pytest.approx((low, high), abs=6e-5)


def test_a_share_of_no_rows() -> None:
    assert all(map(math.isnan, wilson(0, 0, 0.95)))


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_stays_a_share(rows: int, share: float, level: float) -> None:
    low, high = wilson(round(share * rows), rows, level)
    assert 0 <= low <= round(share * rows) / rows <= high <= 1


def test_means_of_rows_have_students_interval() -> None:
    frame = pl.DataFrame({"g": ["a"] * 4 + ["b"], "v": [1.0, 2.0, 3.0, 4.0, 9.0]})
    a, b = grouped_means(frame, "v", "g", confidence=0.95).rows(named=True)
    half = 3.182446 * math.sqrt(5 / 3 / 4)
    assert (a["rows"], a["mean"]) == (4, 2.5)
    assert (a["low"], a["high"]) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-4)
    assert (b["mean"], math.isnan(b["low"])) == (9.0, True)


def test_shares_stay_between_zero_and_one() -> None:
    frame = pl.DataFrame({"g": ["a"] * 6, "v": [1.0, 1, 1, 1, 1, 0], "d": [1, 1, 2, 2, 3, 3]})
    [rows] = grouped_means(frame, "v", "g", confidence=0.95, share=True).rows(named=True)
    assert (rows["low"], rows["high"]) == pytest.approx(wilson(5, 6, 0.95))
    [days] = grouped_means(frame, "v", "g", confidence=0.95, share=True, day="d").rows(named=True)
    assert (days["days"], days["high"]) == (3, 1.0)
    one = frame.with_columns(d=1)
    [day] = grouped_means(one, "v", "g", confidence=0.95, share=True, day="d").rows(named=True)
    assert math.isnan(day["low"])


def test_rows_of_one_day_that_say_the_same_tell_no_more_than_one() -> None:
    days = pl.DataFrame({"g": "a", "v": [1.0, 2.0, 4.0], "d": [1, 2, 3]})
    many = pl.concat([days] * 50)
    [few], [same] = (
        grouped_means(each, "v", "g", confidence=0.9, day="d").rows(named=True) for each in (days, many)
    )  # fmt: skip
    assert (few["low"], few["high"]) == pytest.approx((same["low"], same["high"]))
    assert (few["low"], few["high"]) == pytest.approx(mean_of([1.0, 2.0, 4.0], 0.9)[1:])


@pytest.mark.parametrize(("day", "least", "most"), [(None, 0.0, 0.75), ("d", 0.92, 0.985)])
def test_intervals_over_days_cover_where_rows_depend_on_their_day(
    day: str | None, least: float, most: float
) -> None:
    chance = np.random.default_rng(3)
    groups, days, rows = 500, 30, 20
    effects = chance.normal(0, 1, (groups, days, 1))
    values = effects + chance.normal(0, 1, (groups, days, rows))
    frame = pl.DataFrame(
        {
            "g": np.repeat(np.arange(groups), days * rows),
            "d": np.tile(np.repeat(np.arange(days), rows), groups),
            "v": values.ravel(),
        }
    )
    found = grouped_means(frame, "v", "g", confidence=0.95, day=day)
    covered = ((found["low"] <= 0) & (found["high"] >= 0)).mean()
    assert isinstance(covered, float)
    # Taken as independent, the rows of a day would promise far too much.
    assert least <= covered <= most


def test_the_mean_of_none() -> None:
    assert all(map(math.isnan, mean_of([], 0.95)))
    assert mean_of([5.0], 0.95)[0] == 5.0
