"""Which partitions of a prediction log are older than it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.serving.log_partitions import expired_partitions

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def expired(now: datetime, *names: str, **setting: str) -> list[str]:
    return list(expired_partitions(names, tm.log(**setting), now))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        ("1d", ["2026-02-27", "2026-02-28", "2026-03-29"]),
        # A month before the 31st of March is the last day of February.
        ("1mo", ["2026-02-27"]),
        ("4w", ["2026-02-27", "2026-02-28"]),
        ("9999mo", []),
    ],
)
def test_days_that_ended_before_are_too_old(keep: str, gone: list[str]) -> None:
    days = "2026-03-31", "2026-03-30", "2026-03-29", "2026-02-28", "2026-02-27"
    assert expired(NOW, *days, keep=keep) == gone
    assert expired(NOW, *days) == []


def test_days_end_in_the_zone_of_the_log_and_hours_in_utc() -> None:
    # The 29th of March 2026 ended in New York at 4 o'clock, in Tokyo at 15 o'clock of the day before.
    at = datetime(2026, 3, 31, 3, tzinfo=UTC)
    assert expired(at, "2026-03-29", keep="1d", zone="America/New_York") == []
    assert expired(at + timedelta(hours=1), "2026-03-29", keep="1d", zone="America/New_York") == [
        "2026-03-29"
    ]
    assert expired(at, "2026-03-29", keep="1d", zone="Asia/Tokyo") == ["2026-03-29"]
    hours = "2026-03-30T02", "2026-03-30T03"
    assert expired(at, *hours, keep="1d", zone="Asia/Tokyo") == ["2026-03-30T02"]


@pytest.mark.parametrize(
    "name",
    ["empty.parquet", "2020-1-5", "2020-01-05T7", "2020-W01", "2020-01", "old", "", "2020-02-30"],
)
def test_folders_with_other_names_are_no_partitions(name: str) -> None:
    assert expired(NOW, name, keep="1d") == []


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    st.integers(-100, 100),
    st.integers(1, 60),
    st.sampled_from(["UTC", "America/St_Johns", "Pacific/Apia", "Africa/Casablanca"]),
)
def test_nothing_that_was_written_within_the_time_is_removed(
    moment: datetime, hours: int, days: int, zone: str
) -> None:
    written = moment.replace(tzinfo=UTC)
    now = written + timedelta(days=days, hours=hours)
    day = written.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d")
    hour = written.strftime("%Y-%m-%dT%H")
    found = expired(now, day, hour, keep=f"{days}d", zone=zone)
    if hours <= 0:
        assert found == []
    if hours >= 48:
        assert {*found} == {day, hour}
