"""When the note of a week is due."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.scorecard.scorecard_settings import WeeklyTime
from tidemill.scorecard.weekly_time import last_weekly_tick, next_weekly_tick

MONDAY = WeeklyTime(weekday=0, hour=8, minute=0)


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("now", "zone", "period", "tick"),
    [
        ("2026-11-23T08:00", "UTC", "2026-W48", "2026-11-23T08:00"),
        ("2026-11-23T07:59", "UTC", "2026-W47", "2026-11-16T08:00"),
        ("2026-11-29T23:59", "UTC", "2026-W48", "2026-11-23T08:00"),
        ("2026-11-23T08:00", "Asia/Tokyo", "2026-W48", "2026-11-23T08:00"),
        ("2027-01-03T12:00", "UTC", "2026-W53", "2026-12-28T08:00"),
        # The clock is put forward on Sunday.
        ("2026-03-29T12:00", "Europe/Berlin", "2026-W13", "2026-03-23T08:00"),
    ],
)
def test_the_newest_tick(now: str, zone: str, period: str, tick: str) -> None:
    found = last_weekly_tick(MONDAY, zone, at(now, zone))
    assert (found.period, found.at) == (period, at(tick, zone))


@given(
    st.floats(0, 4e9),
    st.builds(
        WeeklyTime, weekday=st.integers(0, 6), hour=st.integers(0, 23), minute=st.integers(0, 59)
    ),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_ticks_follow_each_other(now: float, weekly: WeeklyTime, zone: str) -> None:
    last, coming = last_weekly_tick(weekly, zone, now), next_weekly_tick(weekly, zone, now)
    assert last.at <= now < coming
    assert last_weekly_tick(weekly, zone, coming).at == coming
    assert 6.9 < (coming - last.at) / 86_400 < 7.1
    assert last_weekly_tick(weekly, zone, coming).period != last.period
