"""Rules as masks: what is done with a column that came in another type (see also `test_validating`)."""

from __future__ import annotations

from datetime import date

import polars as pl

from tidemill.contracts.checks import rule_masks as masks
from tidemill.contracts.checks.row_rules import column_rules
from tidemill.contracts.column_types import Int64
from tidemill.contracts.io.contract import Contract
from tidemill.contracts.text_format import AS_STORED
from tidemill.core.partition import Grain, Partitioning


def test_a_column_is_turned_into_its_type() -> None:
    turned = masks._cast(pl.Series(["1", "x", None]), pl.Int64(), AS_STORED)
    assert turned.to_list() == [1, None, None]


def test_a_missing_value_is_in_no_other_partition() -> None:
    days = pl.Series([date(2013, 3, 7), date(2013, 3, 8), None])
    cut = Partitioning(column="day", grain=Grain.DAY)
    assert masks._is_outside(days, cut, "2013-03-07").to_list() == [False, True, False]


def test_words_for_missing_values_in_text_are_null() -> None:
    class Orders(Contract):
        amount = Int64(nullable=True, null_values="-")

    rules = column_rules(Orders.__tidemill_contract__)
    frame = pl.LazyFrame({"amount": ["1", "-", "x"]})
    cast, original = masks.cast_frame(frame, rules).collect().get_columns()
    assert cast.to_list() == [1, None, None]
    assert original.to_list() == ["1", None, "x"]
    text = rules[0].text
    assert masks._source(pl.Series(["1", "-"]), pl.Int64(), text).to_list() == ["1", None]


def test_nan_in_a_column_of_another_type_counts_as_null() -> None:
    class Orders(Contract):
        amount = Int64(nullable=True)

    rules = column_rules(Orders.__tidemill_contract__)
    frame = pl.LazyFrame({"amount": [1.0, float("nan"), None]})
    cast, original = masks.cast_frame(frame, rules).collect().get_columns()
    assert cast.to_list() == [1, None, None]
    assert original.to_list() == [1.0, None, None]
