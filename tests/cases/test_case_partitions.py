"""Partitions of rows that don't name one."""

from __future__ import annotations

from datetime import datetime

import pytest

import tidemill as tm
from tidemill.cases.case_partitions import (
    DEFAULT_MOMENT,
    Moments,
    default_keys,
    partition_moments,
    spread_moments,
)
from tidemill.core.partition import Grain, Partitioning
from tidemill.workflow.window import select_partitions

DAYS = Partitioning(column="day", grain=Grain.DAY)
MONTHS = Partitioning(column="month", grain=Grain.MONTH)
SHOPS = Partitioning(column="shop")


def test_tables_share_the_partitions_that_rows_name() -> None:
    named = {"a": ["2026-01-05", "2026-01-06"], "b": ["x"]}
    known = partition_moments(named, {"a": DAYS, "b": SHOPS})
    assert known == Moments(
        times=(datetime(2026, 1, 5), datetime(2026, 1, 6)),
        values=("x",),
    )
    assert default_keys(DAYS, known) == ["2026-01-05", "2026-01-06"]
    assert default_keys(MONTHS, known) == ["2026-01"]
    assert default_keys(SHOPS, known) == ["x"]


def test_without_any_there_are_defaults() -> None:
    assert default_keys(DAYS, Moments()) == ["2024-01-01"]
    assert default_keys(SHOPS, Moments()) == ["a"]


@pytest.mark.parametrize("grain", [Grain.HOUR, Grain.DAY, Grain.WEEK, Grain.MONTH])
def test_windows_of_a_model_have_partitions(grain: Grain) -> None:
    length = {"1h": 24, "1d": 21, "1w": 4, "1mo": 3}
    count = length.get(str(grain), 7)
    test = tm.last(2)
    training = tm.last(count, before=test)
    moments = spread_moments([(training, grain), (test, grain)])
    assert moments[0] == DEFAULT_MOMENT
    keys = sorted(default_keys(Partitioning(column="x", grain=grain), Moments(times=moments)))
    newest = keys[-1]
    assert select_partitions(training, keys, grain, newest)
    assert select_partitions(test, keys, grain, newest)


def test_no_windows_no_spread() -> None:
    assert spread_moments([]) == (DEFAULT_MOMENT,)
