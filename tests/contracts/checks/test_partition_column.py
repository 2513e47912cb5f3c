from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.checks.partition_column import (
    are_all_inside,
    common_key,
    partition_keys,
    raw_partition_keys,
    rows_outside,
    split_by_partition,
)
from tidemill.core.errors import UsageError
from tidemill.core.partition import UNPLACED, Grain, Partitioning

ZONED = pl.Datetime("us", "America/New_York")
HOUR, DAY = Grain.HOUR, Grain.DAY


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CASES: list[tuple[pl.DataType, list[Any], Grain | None, list[str | None]]] = [
    (pl.Date(), [date(2012, 12, 31), None], Grain.DAY, ["2012-12-31", None]),
    (pl.Date(), [date(2012, 12, 31), date(2013, 1, 6)], Grain.WEEK, ["2013-W01", "2013-W01"]),
    (pl.Date(), [date(2012, 12, 31), date(2013, 1, 6)], Grain.MONTH, ["2012-12", "2013-01"]),
    (pl.Datetime("ns"), [datetime(2013, 3, 7, 5, 59)], HOUR, ["2013-03-07T05"]),
    (pl.Datetime("ms"), [datetime(2013, 3, 7, 5, 59)], DAY, ["2013-03-07"]),
    # The zone's own days: 04:30 UTC is still the day before in New York.
    (ZONED, [moment("2013-03-07T04:30"), moment("2013-03-07T05:30")], DAY, ["2013-03-06", "2013-03-07"]),
    # The night of 3 November 2013 had the hour from one to two twice: one day, two UTC hours.
    (ZONED, [moment("2013-11-03T05:30"), moment("2013-11-03T06:30")], DAY, ["2013-11-03"] * 2),
    (
        ZONED,
        [moment("2013-11-03T05:30"), moment("2013-11-03T06:30")],
        HOUR,
        ["2013-11-03T05", "2013-11-03T06"],
    ),
    # The day of 10 March 2013 had 23 hours.
    (ZONED, [moment("2013-03-11T03:59"), moment("2013-03-11T04:00")], DAY, ["2013-03-10", "2013-03-11"]),
    (pl.String(), ["acme", None], None, ["acme", None]),
    # No text has the key of rows without a value, or of an output without partitions.
    (pl.String(), ["(none)", None, "all", "", "\\all", "\\"], None,
     ["\\(none)", None, "\\all", "(empty)", "\\\\all", "\\"]),
    (pl.Enum(["b", "a"]), ["a"], None, ["a"]),
    (pl.Enum(["b", "all"]), ["all", "b"], None, ["\\all", "b"]),
    (pl.Int64(), [-3, None, 20], None, ["-3", None, "20"]),
    (pl.Boolean(), [True, False], None, ["True", "False"]),
    (pl.Date(), [date(2013, 3, 7)], None, ["2013-03-07"]),
    (pl.Date(), [None], Grain.DAY, [None]),
    (pl.Int8(), [], None, []),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "values", "grain", "expected"), CASES)
def test_each_value_has_the_key_of_its_partition(
    dtype: pl.DataType, values: list[Any], grain: Grain | None, expected: list[str | None]
) -> None:
    series, cut = pl.Series("a", values, dtype=dtype), Partitioning(column="a", grain=grain)
    keys = partition_keys(series, cut)
    assert (keys.to_list(), keys.dtype, keys.name) == (expected, pl.String(), "a")
    for key in {key for key in expected if key}:
        apart = [other and other != key for other in expected]
        assert rows_outside(series, cut, key).to_list() == apart
        assert are_all_inside(series, cut, key) is not any(apart)


@pytest.mark.parametrize(("dtype", "values", "grain", "expected"), CASES)
def test_the_key_that_all_share_is_told_only_of_moments(
    dtype: pl.DataType, values: list[Any], grain: Grain | None, expected: list[str | None]
) -> None:
    series, cut = pl.Series("a", values, dtype=dtype), Partitioning(column="a", grain=grain)
    shared = expected[0] if grain and len(set(expected)) == 1 else None
    assert common_key(series, cut) == shared


def test_a_day_that_the_clock_comes_back_to_is_not_the_only_one() -> None:
    # On 7 November 2010 the clock of St. John's went from 00:01 back to 23:01 of the day before.
    moments = [
        moment("2010-11-07T02:00"),
        moment("2010-11-07T02:30:30"),
        moment("2010-11-07T03:00"),
    ]
    series = pl.Series(moments, dtype=pl.Datetime("us", "America/St_Johns"))
    cut = Partitioning(column="a", grain=DAY)
    assert partition_keys(series, cut).to_list() == ["2010-11-06", "2010-11-07", "2010-11-06"]
    assert common_key(series, cut) is None
    assert common_key(series[[0, 2]], cut) == "2010-11-06"


def test_without_a_partition_column_all_rows_have_one_key() -> None:
    assert partition_keys(pl.Series("a", [1, None]), Partitioning()).to_list() == ["all", "all"]


def test_rows_without_a_value_are_those_that_have_no_place() -> None:
    cut = Partitioning(column="a", grain=Grain.DAY)
    series = pl.Series("a", [date(2013, 1, 1), None])
    assert rows_outside(series, cut, UNPLACED).to_list() == [True, False]
    assert not are_all_inside(series, cut, UNPLACED)
    assert are_all_inside(series.slice(1), cut, UNPLACED)


def test_a_key_of_another_grain_is_refused() -> None:
    with pytest.raises(UsageError, match="'2013-03' is not a day partition"):
        rows_outside(pl.Series([date(2013, 1, 1)]), Partitioning(column="a", grain=DAY), "2013-03")


def test_the_keys_of_a_column_as_it_came_are_those_of_what_it_means() -> None:
    series = pl.Series("a", ["2013-03-07", "soon", None])
    cut = Partitioning(column="a", grain=DAY)
    assert raw_partition_keys(series, pl.Date(), cut).to_list() == ["2013-03-07", None, None]


VALUES: list[tuple[pl.DataType, list[Any], list[Grain | None]]] = [
    (pl.Date(), [date(2012, 12, 31), date(2013, 1, 6)], [DAY, Grain.WEEK, Grain.MONTH, None]),
    (
        ZONED,
        [moment(f"2013-11-03T0{hour}:30") for hour in (3, 4, 5, 6)],
        [HOUR, DAY, Grain.WEEK, Grain.MONTH],
    ),
    (pl.Datetime("ms"), [datetime(2013, 3, 7, 5, 59), datetime(2013, 3, 7, 6)], [HOUR, DAY]),
    (pl.String(), ["a", "b", "", "\\", "(none)", "\\a"], [None]),
    (pl.Enum(["a", "", "b"]), ["a", "", "b"], [None]),
    (pl.Int64(), [-1, 0, 1], [None]),
    (pl.Boolean(), [True, False], [None]),
]


@given(st.data())
def test_each_partition_gets_its_rows_in_their_order(data: st.DataObject) -> None:
    dtype, values, grains = data.draw(st.sampled_from(VALUES))
    partitioning = Partitioning(column="own", grain=data.draw(st.sampled_from(grains)))
    rows = data.draw(st.lists(st.sampled_from([*values, None]), max_size=8))
    if data.draw(st.booleans()):
        rows = sorted(rows, key=str)
    frame = pl.DataFrame({"own": pl.Series(rows, dtype=dtype)}).with_row_index("row")
    keys = partition_keys(frame["own"], partitioning)
    parts = split_by_partition(frame, partitioning)
    assert {key: part["row"].to_list() for key, part in parts.items()} == {
        key: frame.filter(keys == key)["row"].to_list() for key in keys.drop_nulls().unique()
    }
