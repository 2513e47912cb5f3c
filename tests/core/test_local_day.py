"""Days of moments in time zones."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.core.local_day import day_start, local_day, time_zone, weekday

HOUR = 3600


@pytest.mark.parametrize(
    ("at", "zone", "day"),
    [
        (0, "UTC", "1970-01-01"),
        (-1, "UTC", "1969-12-31"),
        # Kathmandu is 5 h 45 min ahead now, and was 5 h 30 min ahead then.
        (18.5 * HOUR - 1, "Asia/Kathmandu", "1970-01-01"),
        (18.5 * HOUR, "Asia/Kathmandu", "1970-01-02"),
        # The night in which clocks are put back is 25 hours long.
        (1_793_484_000 - 1, "Europe/Berlin", "2026-10-31"),
        (1e18, "UTC", "9999-12-31"),
        (-1e18, "UTC", "0001-01-02"),
    ],
)
def test_the_day_of_a_moment(at: float, zone: str, day: str) -> None:
    assert local_day(at, zone) == day


def test_days_begin_with_their_first_moment() -> None:
    for day in ("2026-03-29", "2026-10-25", "2026-07-01"):
        start = day_start(day, "Europe/Berlin")
        assert local_day(start, "Europe/Berlin") == day
        assert local_day(start - 1, "Europe/Berlin") < day


def test_the_nights_of_clock_changes_are_longer_and_shorter() -> None:
    def hours(day: str, after: str) -> float:
        return (day_start(after, "Europe/Berlin") - day_start(day, "Europe/Berlin")) / HOUR

    assert hours("2026-03-29", "2026-03-30") == 23
    assert hours("2026-10-25", "2026-10-26") == 25


def test_weekdays_begin_with_monday() -> None:
    assert [weekday("2026-11-23"), weekday("2026-11-29")] == [0, 6]


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc", "a\0b"])
def test_an_unknown_zone(name: str) -> None:
    with pytest.raises(UsageError, match="is not a time zone"):
        time_zone(name)
