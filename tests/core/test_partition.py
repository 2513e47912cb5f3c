"""Keys of partitions: canonical text in the order of time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.rebuild import bounds, minus
from tidemill.core.errors import UsageError
from tidemill.core.partition import (
    EMPTY,
    RESERVED,
    UNPLACED,
    WHOLE,
    Grain,
    Partitioning,
    Span,
    add_months,
    is_valid_key,
    keys_between,
    parse_grain,
    parse_span,
    partition_end,
    partition_instants,
    partition_key,
    partition_start,
    place_name,
    readable_keys,
    shown_key,
    summarize_keys,
    time_bounds,
    value_key,
)

ST_JOHNS = "America/St_Johns"
grains = st.sampled_from(Grain)
times = st.datetimes(min_value=datetime(1, 1, 1))
usual = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1))

KEYS = [
    (Grain.HOUR, "2013-03-07T05", datetime(2013, 3, 7, 5), datetime(2013, 3, 7, 6)),
    (Grain.DAY, "2013-03-07", datetime(2013, 3, 7), datetime(2013, 3, 8)),
    (Grain.DAY, "2012-02-29", datetime(2012, 2, 29), datetime(2012, 3, 1)),
    (Grain.WEEK, "2013-W10", datetime(2013, 3, 4), datetime(2013, 3, 11)),
    # The last days of 2012 belong to the first week of 2013; 2020 has 53 weeks.
    (Grain.WEEK, "2013-W01", datetime(2012, 12, 31), datetime(2013, 1, 7)),
    (Grain.WEEK, "2020-W53", datetime(2020, 12, 28), datetime(2021, 1, 4)),
    (Grain.MONTH, "2013-12", datetime(2013, 12, 1), datetime(2014, 1, 1)),
    # Dates that stand for "never" and "always" are partitions as well.
    (Grain.DAY, "0001-01-01", datetime(1, 1, 1), datetime(1, 1, 2)),
    (Grain.DAY, "9999-12-31", datetime(9999, 12, 31), datetime.max),
    (Grain.WEEK, "9999-W52", datetime(9999, 12, 27), datetime.max),
    (Grain.MONTH, "9999-12", datetime(9999, 12, 1), datetime.max),
    (Grain.HOUR, "9999-12-31T23", datetime(9999, 12, 31, 23), datetime.max),
]


@pytest.mark.parametrize(("grain", "key", "start", "end"), KEYS)
def test_keys(grain: Grain, key: str, start: datetime, end: datetime) -> None:
    assert partition_key(start, grain) == key
    assert (partition_start(key, grain), partition_end(key, grain)) == (start, end)
    assert time_bounds(key) == (start, end)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("acme", "acme"),
        ("", EMPTY),
        ("all", r"\all"),
        ("(none)", r"\(none)"),
        ("(empty)", r"\(empty)"),
        (r"\all", r"\\all"),
        # No name follows the backslashes.
        ("\\", "\\"),
        ("all ", "all "),
        ("ALL", "ALL"),
        ("all\n", "all\n"),
    ],
)
def test_the_key_of_a_value_is_the_value_unless_it_spells_a_name(value: str, key: str) -> None:
    assert value_key(value) == key


@given(st.sets(st.text(alphabet="\\()aleno\n", max_size=9) | st.sampled_from(RESERVED)))
def test_no_two_values_share_a_key_and_none_has_a_reserved_one(values: set[str]) -> None:
    keys = {value_key(value) for value in values}
    assert len(keys) == len(values)
    assert keys.isdisjoint({WHOLE, UNPLACED})
    assert (EMPTY in keys) is ("" in values)
    assert "" not in keys


@given(moment=times, grain=grains)
def test_a_key_holds_its_moment(moment: datetime, grain: Grain) -> None:
    key = partition_key(moment, grain)
    assert partition_start(key, grain) <= moment <= partition_end(key, grain)
    assert partition_key(partition_start(key, grain), grain) == key


@given(moment=usual, grain=grains)
def test_bounds_are_their_definition(moment: datetime, grain: Grain) -> None:
    key = partition_key(moment, grain)
    assert (partition_start(key, grain), partition_end(key, grain)) == bounds(key, str(grain))


@given(one=times, other=times, grain=grains)
def test_the_order_of_text_is_the_order_of_time(
    one: datetime, other: datetime, grain: Grain
) -> None:
    keys = sorted([partition_key(one, grain), partition_key(other, grain)])
    assert keys == [partition_key(min(one, other), grain), partition_key(max(one, other), grain)]


WRONG = [
    (
        Grain.HOUR,
        ["2013-03-07", "2013-03-07T24", "2013-03-07T05:00", "2013-03-07 05", "2013-03-07T5"],
    ),
    (Grain.DAY, ["2013-3-7", "2013-03-32", "20130307", "2013-03", "all", "(none)", "", "2013-W10"]),
    (Grain.WEEK, ["2013-W53", "2013-W1", "2013W10", "2013-W10-1", "2013-03-07", "2013-W00"]),
    (Grain.MONTH, ["2013-13", "2013-3", "2013-03-07", "March"]),
]


@pytest.mark.parametrize(("grain", "key"), [(g, key) for g, keys in WRONG for key in keys])
def test_other_text_is_no_key(grain: Grain, key: str) -> None:
    with pytest.raises(UsageError, match=f"is not a {grain} partition; write it as 2013-"):
        partition_start(key, grain)
    assert not is_valid_key(key, Partitioning(column="x", grain=grain)) or key == UNPLACED


def test_a_text_that_is_no_time_says_which_ones_are() -> None:
    with pytest.raises(
        UsageError, match=r"'March' is not a time; write it as 2013-03-07T05, 2013-03-07"
    ):
        time_bounds("March")


def test_fits() -> None:
    day, value, whole = (
        Partitioning(column="x", grain=Grain.DAY),
        Partitioning(column="x"),
        Partitioning(),
    )
    keys = ["2013-03-07", "2013-03", "EWR", WHOLE, UNPLACED]
    assert [key for key in keys if is_valid_key(key, day)] == ["2013-03-07", UNPLACED]
    assert [key for key in keys if is_valid_key(key, value)] == keys
    assert [key for key in keys if is_valid_key(key, whole)] == [WHOLE]


@pytest.mark.parametrize(
    ("cut", "text", "timed", "whole"),
    [
        (Partitioning(), "unpartitioned", False, True),
        (Partitioning(column="tenant"), "by value of tenant", False, False),
        (Partitioning(column="date", grain=Grain.DAY), "by day of date", True, False),
    ],
)
def test_partitioning(cut: Partitioning, text: str, timed: bool, whole: bool) -> None:
    assert (str(cut), cut.is_time, cut.is_whole) == (text, timed, whole)


def test_grains() -> None:
    assert [parse_grain(text) for text in ("1h", "1d", "1w", "1mo")] == list(Grain)
    with pytest.raises(ValueError, match="partition '2d' is not one of 1h, 1d, 1w, 1mo"):
        parse_grain("2d")


@given(moment=usual, count=st.integers(1, 40), unit=st.sampled_from(["h", "d", "w", "mo"]))
def test_spans_are_their_definition(moment: datetime, count: int, unit: str) -> None:
    span = parse_span(f"{count}{unit}")
    assert (span, str(span)) == (Span(count=count, unit=unit), f"{count}{unit}")
    assert span.before(moment) == minus(moment, f"{count}{unit}")


@pytest.mark.parametrize("text", ["9000000d", "99999999999999999999h", "999999mo"])
def test_a_span_beyond_the_calendar_ends_where_it_begins(text: str) -> None:
    assert parse_span(text).before(datetime(2013, 3, 7)) == datetime.min


@pytest.mark.parametrize("text", ["", "d", "0d", "1y", "1.5d", "-1d", " 1d", "1D"])
def test_other_text_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time such as '36h'"):
        parse_span(text)


def test_months_are_cut_to_their_last_day() -> None:
    end = datetime(2013, 3, 31, 5)
    assert add_months(end, -1) == datetime(2013, 2, 28, 5)
    assert add_months(end, -13) == datetime(2012, 2, 29, 5)
    assert add_months(end, 9) == datetime(2013, 12, 31, 5)
    assert add_months(datetime(2013, 1, 31), 1) - timedelta(days=27) == datetime(2013, 2, 1)


def test_placed() -> None:
    assert readable_keys(["b", UNPLACED, "a"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "grain", "clock", "start", "end"),
    [
        ("2024-07-01", Grain.DAY, "", datetime(2024, 7, 1), datetime(2024, 7, 2)),
        ("2024-07-01", Grain.DAY, "UTC", datetime(2024, 7, 1), datetime(2024, 7, 2)),
        # Days of 23 and of 25 hours.
        ("2024-03-31", Grain.DAY, "Europe/Berlin", datetime(2024, 3, 30, 23), datetime(2024, 3, 31, 22)),
        ("2024-10-27", Grain.DAY, "Europe/Berlin", datetime(2024, 10, 26, 22), datetime(2024, 10, 27, 23)),
        ("2024-10", Grain.MONTH, "Europe/Berlin", datetime(2024, 9, 30, 22), datetime(2024, 10, 31, 23)),
        # The clock went from 00:01 back to 23:01: the day before ends after this one begins.
        ("2010-11-06", Grain.DAY, ST_JOHNS, datetime(2010, 11, 6, 2, 30), datetime(2010, 11, 7, 3, 30)),
        ("2010-11-07", Grain.DAY, ST_JOHNS, datetime(2010, 11, 7, 2, 30), datetime(2010, 11, 8, 3, 30)),
        # The clock went from 00:01 to 01:01: the hour of one began a minute after midnight.
        ("2010-03-14T01", Grain.HOUR, ST_JOHNS, datetime(2010, 3, 14, 3, 31), datetime(2010, 3, 14, 4, 30)),
        # A day that the clock skipped.
        ("2011-12-30", Grain.DAY, "Pacific/Apia", datetime(2011, 12, 30, 10), datetime(2011, 12, 30, 10)),
        # At the ends of the calendar, times in UTC may not exist.
        ("0001-01-01", Grain.DAY, "Asia/Tokyo", datetime(1, 1, 1), datetime(1, 1, 2)),
        ("9999-12-31", Grain.DAY, "America/New_York", datetime(9999, 12, 31), datetime.max),
    ],
)  # fmt: skip
def test_the_instants_of_a_partition(
    key: str, grain: Grain, clock: str, start: datetime, end: datetime
) -> None:
    assert partition_instants(key, grain, clock) == (start, end)


@pytest.mark.parametrize("clock", ["", "UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("key", ["0001-01-01", "2024-03-31", "9999-12-31"])
def test_a_day_overlaps_itself_and_its_hours(key: str, clock: str) -> None:
    span = partition_instants(key, Grain.DAY, clock)
    assert key in keys_between(*span, Grain.DAY, clock)
    hours = keys_between(*span, Grain.HOUR, clock)
    own = [hour for hour in hours if hour.startswith(key)]
    if key.startswith("2024"):
        assert len(own) == (23 if clock == "Europe/Berlin" else 24)
        assert hours == own
    assert own


def test_a_time_zone_that_the_machine_does_not_know() -> None:
    with pytest.raises(UsageError, match="doesn't know the time zone 'Europe/Atlantis'"):
        partition_instants("2024-01-01", Grain.DAY, "Europe/Atlantis")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("a b", "a b"),
        (" a", "' a'"),
        ("a ", "'a '"),
        (" ", "' '"),
        ("\u00a0", "'\u00a0'"),
        ("\t", "'\\t'"),
        ("a\x1b", "a\\x1b"),
        (EMPTY, EMPTY),
    ],
)
def test_a_key_with_blanks_at_its_ends_is_shown_in_quotes(key: str, shown: str) -> None:
    assert shown_key(key) == shown
    assert summarize_keys([key]) == shown
    assert summarize_keys([key, "\uffff"]).startswith(f"{shown} .. ")
    assert place_name("orders", key) == f"orders {shown}"
    assert place_name("orders", WHOLE) == place_name("orders") == "orders"


@pytest.mark.parametrize(
    ("start", "end", "clock", "days"),
    [
        (datetime(9999, 12, 31, 20), datetime.max, "Asia/Tokyo", []),
        (datetime(9999, 12, 30, 20), datetime(9999, 12, 31, 2), "Asia/Tokyo", ["9999-12-31"]),
        (datetime.min, datetime(1, 1, 1, 2), "America/New_York", []),
    ],
)
def test_days_beyond_the_calendar_are_left_out(
    start: datetime, end: datetime, clock: str, days: list[str]
) -> None:
    assert keys_between(start, end, Grain.DAY, clock) == days
