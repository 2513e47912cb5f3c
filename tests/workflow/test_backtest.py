"""Windows of a backtest stay where they are when a day is added."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tidemill.workflow.backtest import backtest_ends, backtest_partition

days = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@given(newest=days, window=st.integers(1, 40), count=st.integers(1, 10))
def test_windows_are_complete_adjacent_and_fixed(newest: date, window: int, count: int) -> None:
    ends = backtest_ends(newest, window, window * count)
    assert len(ends) == count
    assert ends[-1] <= newest < ends[-1] + timedelta(days=window)
    assert {b - a for a, b in pairwise(ends)} <= {timedelta(days=window)}
    later = backtest_ends(newest + timedelta(days=1), window, window * count)
    assert set(later) - set(ends) <= {ends[-1] + timedelta(days=window)}


def test_weeks_end_on_sundays_and_are_named_by_their_last_day() -> None:
    ends = backtest_ends(date(2024, 4, 10), 7, 14)
    assert list(map(backtest_partition, ends)) == ["backtest-2024-03-31", "backtest-2024-04-07"]


def test_a_leap_day_ends_a_window_like_any_other() -> None:
    assert backtest_partition(date(2024, 3, 1)) == "backtest-2024-02-29"
