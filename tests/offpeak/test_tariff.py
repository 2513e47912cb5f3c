"""Tariffs: prices as clocks show the time, also on the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidemill.core.time_zone import time_zone
from tidemill.offpeak.tariff import Tariff, TariffBand

ALL = frozenset(range(7))
BERLIN = time_zone("Europe/Berlin")
NIGHT = TariffBand(days=ALL, begin=22 * 60, end=6 * 60, price=1.0)


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def prices(tariff: Tariff, begin: str, end: str) -> list[tuple[str, float]]:
    """When which price begins in UTC."""
    pieces = tariff.curve(utc(begin), utc(end)).pieces
    return [(f"{datetime.fromtimestamp(one.start, UTC):%d %H:%M}", one.price) for one in pieces]


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        ("2026-01-15", "2026-01-16", [("15 00:00", 1), ("15 05:00", 9), ("15 21:00", 1)]),
        # Summer: the same times of day are an hour earlier in UTC.
        ("2026-07-15", "2026-07-16", [("15 00:00", 1), ("15 04:00", 9), ("15 20:00", 1)]),
        # Clocks go forward at 01:00 UTC, so this night has 7 hours, and back on another.
        (
            "2026-03-28T20:00",
            "2026-03-29T12:00",
            [("28 20:00", 9), ("28 21:00", 1), ("29 04:00", 9)],
        ),
        (
            "2026-10-24T19:00",
            "2026-10-25T12:00",
            [("24 19:00", 9), ("24 20:00", 1), ("25 05:00", 9)],
        ),
    ],
)
def test_bands_follow_the_clocks_of_the_zone(
    begin: str, end: str, expected: list[tuple[str, float]]
) -> None:
    tariff = Tariff(zone=BERLIN, bands=(NIGHT,), default=9.0)
    assert prices(tariff, begin, end) == expected


def test_a_band_of_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    # 2026-01-18 is a Sunday: its night ends on Monday, at the end of the week.
    tariff = Tariff(bands=(TariffBand(days=frozenset({6}), begin=1_320, end=360, price=1.0),))
    assert prices(tariff, "2026-01-18", "2026-01-20") == [("18 22:00", 1)]
    assert tariff.curve(utc("2026-01-18"), utc("2026-01-20")).until == utc("2026-01-19T06:00")


def test_bands_may_begin_at_any_minute_and_hold_all_day() -> None:
    odd = TariffBand(days=frozenset({0}), begin=7, end=8, price=1.0)
    rest = TariffBand(days=ALL - {0}, begin=0, end=1_440, price=2.0)
    # A Monday and a Tuesday; elsewhere no price is known.
    found = prices(Tariff(bands=(odd, rest)), "2026-01-19", "2026-01-21")
    assert found == [("19 00:07", 1), ("20 00:00", 2)]


def test_only_one_band_holds_at_a_time() -> None:
    late = TariffBand(days=frozenset({1}), begin=5 * 60, end=7 * 60, price=1.0)
    with pytest.raises(ValueError, match="two bands hold on tue at 05:00"):
        Tariff(bands=(NIGHT, late))
