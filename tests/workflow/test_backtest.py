"""Windows of a backtest stay where they are when a day is added."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.planning import evaluate, ingest, model, reads
from tidemill.workflow.backtest import backtest_ends, backtest_faults, backtest_partition
from tidemill.workflow.search import integers, search
from tidemill.workflow.stage import Training
from tidemill.workflow.window import last

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


@pytest.mark.parametrize(
    ("backtest", "searched", "says"),
    [
        ("28d", False, []),
        ("", True, []),
        ("28d", True, ["'mod' searches its parameters, which a backtest would repeat"]),
        ("3d", True, ["it is shorter than the window"]),
        ("soon", False, ["it is shorter than the window"]),
    ],
)
def test_what_can_be_repeated_on_the_past(backtest: str, searched: bool, says: list[str]) -> None:
    raw = ingest("raw")
    found = search({"rounds": integers(1, 9)}, metric="mae") if searched else None
    mod = replace(model("mod", reads(raw)), training=Training(search=found))
    stage = replace(evaluate("ev", mod, reads(raw, last("7d"))), backtest=backtest)
    faults = [fault.message for fault in backtest_faults(stage, {"mod": mod})]
    assert len(faults) == len(says)
    assert all(part in fault for part, fault in zip(says, faults, strict=True))
