"""Times in sentences become elements that scripts can read."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tidemill.console.sentence_times import keep_dates, mark_times


def _marked(text: str) -> str:
    return mark_times(text, lambda at: f"<{at:.0f}>")


@pytest.fixture
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("trained 1970-01-02 00:00 UTC on 3 rows", "trained <86400> on 3 rows"),
        ("at 1970-01-02 00:00:05 UTC.", "at <86405>."),
        ("by ben on 1970-01-02 00:00 UTC: why", "by ben on <86400>: why"),
        # A partition, or something else without a zone.
        ("1970-01-02 00:00 is late", "1970-01-02 00:00 is late"),
        ("1970-01-02 00:00 XYZ", "1970-01-02 00:00 XYZ"),
        ("1970-02-31 00:00 UTC", "1970-02-31 00:00 UTC"),
        ("1970-01-02 00:00 UTCs", "1970-01-02 00:00 UTCs"),
        ("9999-12-31 23:59 XYZ", "9999-12-31 23:59 XYZ"),
    ],
)
def test_times_that_name_their_zone_are_marked(text: str, shown: str) -> None:
    assert _marked(text) == shown


@pytest.mark.usefixtures("in_berlin")
def test_times_of_this_machine_are_known_in_summer_and_winter() -> None:
    assert _marked("by ben on 1970-01-02 01:00 CET") == "by ben on <86400>"
    assert _marked("by ben on 2026-07-01 02:00 CEST") == "by ben on <1782864000>"
    assert _marked("by ben on 2026-07-01 02:00 CET") == "by ben on 2026-07-01 02:00 CET"


def test_dates_stay_whole() -> None:
    found = keep_dates("<2026-01-05 .. 2026-02 (35), 2026-01-05T07, 12026-01")
    assert found == (
        '&lt;<span class="date">2026-01-05</span> .. <span class="date">2026-02</span> (35), '
        '<span class="date">2026-01-05T07</span>, 12026-01'
    )
