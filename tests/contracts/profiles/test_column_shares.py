"""Shares of a column then and now, for a small picture."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

from tidemill.contracts.profiles.column_shares import BARS, ColumnShares, column_shares
from tidemill.contracts.profiles.partition_profile import profile_frame


def between(old: Any, new: Any, dtype: Any) -> ColumnShares:
    first, second = (
        profile_frame(pl.DataFrame({"x": pl.Series(side, dtype=dtype)})) for side in (old, new)
    )
    return column_shares(first["x"], second["x"])


def test_numbers_have_bars_of_one_width() -> None:
    found = between(range(100), range(50, 150), pl.Int64)
    assert len(found.then) == len(found.now) == BARS
    assert len(found.edges) == BARS + 1
    assert sum(found.then) == pytest.approx(1)
    assert sum(found.now) == pytest.approx(1)
    assert found.then[0] > 0.1
    assert found.now[0] == 0
    assert found.now[-1] > 0.1


def test_outliers_and_infinities_count_at_the_ends() -> None:
    found = between([*range(1000)], [*range(995), 1e9, math.inf, -math.inf, 5, 6], pl.Float64)
    assert found.edges[-1] < 1100
    assert sum(found.now) == pytest.approx(1)


def test_a_constant_is_one_bar() -> None:
    found = between([7.0] * 3, [7.0] * 2, pl.Float64)
    assert found.then == found.now == (1.0,)
    assert found.edges[0] == found.edges[1]


def test_only_infinities_are_one_bar() -> None:
    found = between([math.inf], [math.inf], pl.Float64)
    assert found.then == found.now == (1.0,)


def test_categories_come_by_their_largest_share() -> None:
    found = between(["a", "b", "b"], ["b", "c", None], pl.String)
    assert found.names == ("b", "c", "a")
    assert found.then == pytest.approx((2 / 3, 0, 1 / 3))
    assert found.now == pytest.approx((0.5, 0.5, 0))
    assert found.edges == ()


def test_rare_categories_are_shown_together() -> None:
    words = [f"w{n:02}" for n in range(30)]
    found = between(words, words, pl.String)
    assert len(found.names) == BARS
    assert found.names[-1] == "(others)"
    assert found.then[-1] == pytest.approx(19 / 30)


def test_keys_are_shown_by_their_lengths() -> None:
    keys = [f"{n:08}" for n in range(100)]
    found = between(keys, [key + "x" for key in keys], pl.String)
    assert found.names == ()
    assert found.edges
    assert found.then[0] == pytest.approx(1)
    assert found.now[-1] == pytest.approx(1)


def test_one_side_without_values() -> None:
    assert between(["a"], [None], pl.String).now == (0.0,)
    assert between([1.0], [None], pl.Float64) == ColumnShares()
    assert between([None], [None], pl.String) == ColumnShares()
