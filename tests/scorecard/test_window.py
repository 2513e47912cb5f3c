"""The windows of a scorecard."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.scorecard.window import ScoreWindow, score_windows

DAY = 86_400.0


def at(text: str, zone: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Auckland"])
def test_windows_are_whole_days(zone: str) -> None:
    now = at("2026-03-20T15:30", zone)  # after the change of the clock in New York
    found = score_windows(now, 14 * DAY, zone)
    assert found.current == ScoreWindow(since=at("2026-03-06", zone), until=now)
    assert found.before == ScoreWindow(since=at("2026-02-20", zone), until=at("2026-03-06", zone))
    assert [found.first_day(week) for week in found.weeks][-2:] == ["2026-03-06", "2026-03-13"]
    assert found.current.contains(now - 1)
    assert not found.current.contains(now)


@given(st.floats(0, 4e9), st.integers(1, 90), st.sampled_from(["UTC", "Europe/Berlin"]))
def test_weeks_follow_each_other(now: float, days: int, zone: str) -> None:
    found = score_windows(now, days * DAY, zone)
    assert found.before.until == found.current.since
    assert found.before.since < found.current.since < now + 1
    assert len(found.weeks) == 8
    for one, other in zip(found.weeks, found.weeks[1:], strict=False):
        assert one.since < one.until == other.since
    assert found.weeks[-1].until == now
