from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.time_scale import time_scale


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("start", "end", "labels"),
    [
        ("2026-01-05", "2026-02-02", "5 Jan|2026, 12 Jan, 19 Jan, 26 Jan, 2 Feb"),
        ("2026-01-05", "2026-01-12", "5 Jan|2026, 7 Jan, 9 Jan, 11 Jan"),
        ("2026-01-05", "2027-03-01", "Apr|2026, Jul, Oct, Jan|2027"),
        ("2019-01-01", "2026-01-01", "2020, 2022, 2024, 2026"),
        ("2026-01-05T20:30", "2026-01-06T10:00", "21:00|5 Jan 2026, 00:00|6 Jan 2026, 03:00, 06:00, 09:00"),
        ("2026-01-05T10:00:01", "2026-01-05T10:00:08", "10:00:02|5 Jan 2026, 10:00:04, 10:00:06, 10:00:08"),
        ("0005-01-01", "9000-01-01", "2000, 4000, 6000, 8000"),
        # One moment.
        ("2026-01-05", "2026-01-05", "12:00|4 Jan 2026, 18:00, 00:00|5 Jan 2026, 06:00, 12:00"),
    ],
)  # fmt: skip
def test_ticks_are_where_calendars_begin(start: str, end: str, labels: str) -> None:
    ticks = time_scale([seconds(start), seconds(end)]).ticks
    assert ", ".join(t.label + (f"|{t.note}" if t.note else "") for t in ticks) == labels


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5), st.integers(4, 8))
def test_any_times_have_a_scale(values: list[float], count: int) -> None:
    scale = time_scale(values, count=count)
    assert scale.low < scale.high
    assert 1 <= len(scale.ticks) <= count + 2
    assert all(scale.low <= tick.value <= scale.high for tick in scale.ticks)


@given(st.floats(-5e9, 5e9), st.floats(2, 5e9))
def test_a_scale_of_time_has_several_ticks(start: float, length: float) -> None:
    scale = time_scale([start, start + length])
    assert 2 <= len(scale.ticks) <= 8
    assert len({(t.label, t.note) for t in scale.ticks}) == len(scale.ticks) or length > 86_400


def test_ticks_of_days_are_not_within_days() -> None:
    two = [seconds("2026-01-05"), seconds("2026-01-06")]
    assert [tick.label for tick in time_scale(two, whole_days=True).ticks] == ["5 Jan", "6 Jan"]
    assert [tick.label for tick in time_scale(two[:1], whole_days=True).ticks] == ["5 Jan"]
