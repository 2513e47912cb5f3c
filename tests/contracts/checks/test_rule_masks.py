"""Rules as masks: what is done with a column that came in another type (see also `test_validating`)."""

from __future__ import annotations

from datetime import date

import polars as pl

from tidemill.contracts.checks import rule_masks as masks
from tidemill.core.partition import Grain, Partitioning


def test_a_column_is_turned_into_its_type() -> None:
    turned = masks._cast(pl.Series(["1", "x", None]), pl.Int64())
    assert turned.to_list() == [1, None, None]


def test_a_missing_value_is_in_no_other_partition() -> None:
    days = pl.Series([date(2013, 3, 7), date(2013, 3, 8), None])
    cut = Partitioning(column="day", grain=Grain.DAY)
    assert masks._is_outside(days, cut, "2013-03-07").to_list() == [False, True, False]
