"""Cron expressions are due when a clock of their zone says so, in both nights of a clock change too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples, thorough
from tidemill.operations.cron import Cron, CronError, clock_times, first_time, parse_cron

MINUTE = timedelta(minutes=1)


def due(text: str, zone: str, after: str, count: int = 3) -> list[str]:
    """The next times of an expression, as the clock of the zone shows them."""
    place = ZoneInfo(zone)
    begin = datetime.fromisoformat(after).replace(tzinfo=place).timestamp()
    found = islice(parse_cron(text).after(begin, place), count)
    return [f"{datetime.fromtimestamp(at, place):%Y-%m-%d %H:%M %z}" for at in found]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 6 * * mon-fri", "2026-01-02T06:00", ["2026-01-05 06:00", "2026-01-06 06:00"]),
        ("@daily", "2026-01-01T00:00", ["2026-01-02 00:00", "2026-01-03 00:00"]),
        ("@HOURLY", "2026-01-01T00:00", ["2026-01-01 01:00", "2026-01-01 02:00"]),
        ("*/20 8 * * *", "2026-01-01T08:20", ["2026-01-01 08:40", "2026-01-02 08:00"]),
        ("5/20 0 * * *", "2026-01-01T00:06", ["2026-01-01 00:25", "2026-01-01 00:45"]),
        ("0 0-8/4 * * *", "2026-01-01T04:00", ["2026-01-01 08:00", "2026-01-02 00:00"]),
        # Only months that have such a day.
        ("0 0 31 * *", "2026-01-31T00:00", ["2026-03-31 00:00", "2026-05-31 00:00"]),
        ("0 0 29 feb *", "2026-01-01T00:00", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 29 2 *", "2096-03-01T00:00", ["2104-02-29 00:00", "2108-02-29 00:00"]),
        ("0 0 L * *", "2027-01-31T00:00", ["2027-02-28 00:00", "2027-03-31 00:00"]),
        ("0 0 15,l 2 *", "2028-01-31T00:00", ["2028-02-15 00:00", "2028-02-29 00:00"]),
        # Either field is enough where both are restricted, as in every cron.
        ("0 0 13 * fri", "2026-02-07T00:00", ["2026-02-13 00:00", "2026-02-20 00:00"]),
        ("0 0 30 2 mon", "2026-02-01T00:00", ["2026-02-02 00:00", "2026-02-09 00:00"]),
        ("0 0 */31 * sun", "2026-01-01T00:00", ["2026-02-01 00:00", "2026-03-01 00:00"]),
        ("0 0 * * sat-sun", "2026-01-01T00:00", ["2026-01-03 00:00", "2026-01-04 00:00"]),
        ("0 0 * * 7", "2026-01-01T00:00", ["2026-01-04 00:00", "2026-01-11 00:00"]),
        ("59 23 31 DEC *", "2026-01-01T00:00", ["2026-12-31 23:59", "2027-12-31 23:59"]),
    ],
)
def test_an_expression_names_times(text: str, after: str, expected: list[str]) -> None:
    assert due(text, "Etc/UTC", after, 2) == [f"{at} +0000" for at in expected]


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        # The clock goes from 02:00 to 03:00: once, just after.
        ("30 2 * * *", "America/New_York", "2026-03-07T12:00",
         ["2026-03-08 03:00 -0400", "2026-03-09 02:30 -0400"]),
        # Several that it skips are due once, also beside one at that time.
        ("0,30 2,3 * * *", "America/New_York", "2026-03-07T12:00",
         ["2026-03-08 03:00 -0400", "2026-03-08 03:30 -0400", "2026-03-09 02:00 -0400"]),
        # It shows 01:30 twice: the first time only.
        ("30 1 * * *", "America/New_York", "2026-10-31T12:00",
         ["2026-11-01 01:30 -0400", "2026-11-02 01:30 -0500"]),
        ("*/30 1 * * *", "America/New_York", "2026-10-31T12:00",
         ["2026-11-01 01:00 -0400", "2026-11-01 01:30 -0400", "2026-11-02 01:00 -0500"]),
        # What names every hour follows the clock: 23 or 25 times that day.
        ("30 * * * *", "America/New_York", "2026-11-01T00:30",
         ["2026-11-01 01:30 -0400", "2026-11-01 01:30 -0500", "2026-11-01 02:30 -0500"]),
        ("30 * * * *", "America/New_York", "2026-03-08T01:00",
         ["2026-03-08 01:30 -0500", "2026-03-08 03:30 -0400"]),
        # Half an hour: from 02:00 to 02:30, and back to 01:30.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00",
         ["2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"]),
        ("0 */3 * * *", "Australia/Lord_Howe", "2026-10-03T23:00",
         ["2026-10-04 00:00 +1030", "2026-10-04 03:00 +1100", "2026-10-04 06:00 +1100"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00",
         ["2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"]),
        ("0 6 * * *", "Asia/Kathmandu", "2026-01-01T06:00",
         ["2026-01-02 06:00 +0545", "2026-01-03 06:00 +0545"]),
        # A whole day that never was.
        ("0 6 30 * *", "Pacific/Apia", "2011-11-30T12:00",
         ["2011-12-31 00:00 +1400", "2012-01-30 06:00 +1400"]),
        # The clock goes back over midnight.
        ("30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00",
         ["2018-02-17 23:30 -0200", "2018-02-18 23:30 -0300"]),
    ],
)  # fmt: skip
def test_both_nights_of_a_clock_change(
    text: str, zone: str, after: str, expected: list[str]
) -> None:
    assert due(text, zone, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 25 * * *", r"hour '25' is not 0 to 23 \(field 2, at character 3\)"),
        ("60 * * * *", r"minute '60' is not 0 to 59 \(field 1, at character 1\)"),
        (
            "0 0 * * mon,tues",
            r"day of the week 'tues' is not 0 to 7 or sun to sat .*character 13\)",
        ),
        ("0 0 * 13 *", r"month '13' is not 1 to 12 or jan to dec \(field 4, at character 7\)"),
        ("*/0 * * * *", r"minute '0' is not a step of 1 to 59 \(field 1, at character 3\)"),
        ("0 0 10-40 * *", r"day of the month '40' is not 1 to 31 .*at character 8\)"),
        ("0 0 9-3 * *", r"'9-3' ends before it begins; .*\(field 3, at character 5\)"),
        ("0 0 ? * *", r"'\?' is not a day of the month; write 1 to 31"),
        ("0 0 * * 5#2", "'5#2' is not a day of the week"),
        ("*-5 0 * * *", "is not a minute"),
        ("0,, 0 * * *", "'' is not a minute"),
        ("0 ² * * *", "hour '²' is not 0 to 23"),
        ("0 0 30 2 *", r"is never due: no month of it has a day 30 \(field 3, at character 5\)"),
        ("0 0 31 4,6,9,11 *", "is never due: no month of it has a day 31"),
        ("0 0 0 6 * *", "six fields: seconds aren't supported"),
        ("0 6 * *", "has 4 fields instead of five: minute, hour"),
        ("", "has 0 fields"),
        ("@reboot", "'@reboot' is not known: there is @hourly, @daily"),
    ],
)
def test_a_bad_expression_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(CronError, match=message):
        parse_cron(text)


def test_an_expression_is_followed_for_forty_years() -> None:
    cron, begin = parse_cron("0 0 29 2 *"), datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    years = [datetime.fromtimestamp(at, UTC).year for at in cron.after(begin, UTC)]
    assert years == [*range(2028, 2067, 4)]
    years = [datetime.fromtimestamp(at, UTC).year for at in cron.before(begin, UTC)]
    assert years == [*range(2024, 1984, -4)]


def test_an_expression_reads_as_it_was_written() -> None:
    assert str(parse_cron(" 0 6 * * mon ")) == "0 6 * * mon"


# Zones with changes by an hour, by half an hour, by a day, over midnight, and with rules that changed.
ZONES = (
    "America/New_York", "Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Tehran", "America/Havana",
    "Antarctica/Troll", "Asia/Pyongyang", "America/Caracas", "Pacific/Kwajalein", "Europe/Moscow",
)  # fmt: skip
_FIRST, _LAST = date(1975, 1, 1), date(2037, 1, 1)


def _changes(zone: str) -> Sequence[date]:
    """The days on which the offset of a zone changes."""
    place, found = ZoneInfo(zone), []
    before = None
    for number in range((_LAST - _FIRST).days):
        day = _FIRST + timedelta(days=number)
        offset = datetime(day.year, day.month, day.day, tzinfo=UTC).astimezone(place).utcoffset()
        if before not in (None, offset):
            found.append(day)
        before = offset
    return found


CHANGES = {zone: _changes(zone) for zone in ZONES}


def times_minute_by_minute(cron: Cron, zone: ZoneInfo, start: int, end: int) -> list[int]:
    """When an expression is due, found by watching the clock of the zone."""
    found = []
    newest: datetime | None = None
    for moment in range(start - 3 * 86_400, end, 60):
        shown = datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)
        passed = [shown] if cron.hourly or newest is None else _passed(newest, shown)
        newest = shown if newest is None else max(newest, shown)
        if moment >= start and any(_names(cron, each) for each in passed):
            found.append(moment)
    return found


def _passed(newest: datetime, shown: datetime) -> list[datetime]:
    """The minutes that the clock shows or skips for the first time."""
    return [newest + number * MINUTE for number in range(1, (shown - newest) // MINUTE + 1)]


def _names(cron: Cron, shown: datetime) -> bool:
    return cron.matches(shown.date()) and shown.hour in cron.hours and shown.minute in cron.minutes


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    item = st.one_of(number.map(str), ranges, st.just("*"), st.integers(1, high).map("*/{}".format))
    return st.lists(item, min_size=1, max_size=3).map(",".join)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    # Most clocks change between midnight and four.
    hours = st.one_of(field(0, 3), field(0, 23), st.just("*"))
    fields = [draw(field(0, 59)), draw(hours)]
    days = draw(
        st.sampled_from(("* * *", "*/2 * *", "1-28 * *", "* * sun", "28,L * mon", "* 3-11 *"))
    )
    return f"{' '.join(fields)} {days}"


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, int]:
    """A zone and a moment, most often two days before its clock changes."""
    zone = draw(st.sampled_from(ZONES))
    days: st.SearchStrategy[date] = st.dates(_FIRST, _LAST)
    if CHANGES[zone]:
        days |= st.sampled_from(CHANGES[zone])
    day = draw(days)
    minute = draw(st.integers(0, 1439))
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2, minutes=-minute)
    return zone, int(start.timestamp())


@thorough
@settings(max_examples=examples(60, 200), deadline=None)
@given(text=expressions(), moment=moments())
@example(text="*/15 0-2 * * *", moment=("Australia/Lord_Howe", 1_775_260_800))
def test_times_are_those_of_a_clock_that_is_watched(text: str, moment: tuple[str, int]) -> None:
    cron, zone, start = parse_cron(text), ZoneInfo(moment[0]), moment[1]
    end = start + 4 * 86_400
    expected = times_minute_by_minute(cron, zone, start, end)
    assert list(takewhile(lambda at: at < end, cron.after(start - 1, zone))) == expected
    backwards = takewhile(lambda at: at >= start, cron.before(end - 1, zone))
    assert list(backwards) == expected[::-1]


@given(moment=moments())
def test_a_clock_shows_a_time_never_once_or_twice(moment: tuple[str, int]) -> None:
    zone = ZoneInfo(moment[0])
    shown = datetime.fromtimestamp(moment[1], zone).replace(tzinfo=None, fold=0)
    times = clock_times(shown, zone)
    assert moment[1] in times
    assert len(times) in (1, 2)
    assert first_time(shown, zone) == times[0]
    assert clock_times(datetime(2026, 3, 8, 2, 30), ZoneInfo("America/New_York")) == ()
