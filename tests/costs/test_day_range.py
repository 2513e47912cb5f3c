"""The days that people name."""

from __future__ import annotations

import pytest

from tidemill.core.errors import UsageError
from tidemill.costs.day_range import DayRange, parse_days

# 2024-03-01 11:30 in UTC, and 00:30 of the next day in Auckland.
NOW = 1_709_292_600.0
AUCKLAND = "Pacific/Auckland"


@pytest.mark.parametrize(
    ("text", "zone", "first", "last"),
    [
        ("today", "UTC", "2024-03-01", "2024-03-01"),
        ("today", AUCKLAND, "2024-03-02", "2024-03-02"),
        ("this-month", "UTC", "2024-03-01", "2024-03-31"),
        # A leap year.
        ("last-month", "UTC", "2024-02-01", "2024-02-29"),
        # Still February in Honolulu.
        ("last-month", "Pacific/Honolulu", "2024-02-01", "2024-02-29"),
        ("this-month", "Pacific/Honolulu", "2024-03-01", "2024-03-31"),
        ("2023-12", "UTC", "2023-12-01", "2023-12-31"),
        ("9999-12", "UTC", "9999-12-01", "9999-12-31"),
        ("7d", "UTC", "2024-02-23", "2024-03-01"),
        ("36h", AUCKLAND, "2024-02-29", "2024-03-02"),
        (86_400.0, "UTC", "2024-02-29", "2024-03-01"),
    ],
)
def test_days_have_names(text: str | float, zone: str, first: str, last: str) -> None:
    assert parse_days(text, NOW, zone) == DayRange(first=first, last=last)


def test_last_month_of_january_is_december() -> None:
    january = 1_704_067_200.0
    assert parse_days("last-month", january, "UTC") == DayRange(
        first="2023-12-01", last="2023-12-31"
    )


@pytest.mark.parametrize("text", ["", "soon", "2024-13", "0000-01", "-1d", "last month", "<b>"])
def test_what_names_no_days_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_days(text, NOW, "UTC")


def test_both_ends_belong_to_a_range() -> None:
    found = DayRange(first="2024-02-01", last="2024-02-29")
    days = ["2024-01-31", "2024-02-01", "2024-02-29", "2024-03-01"]
    assert [found.contains(day) for day in days] == [False, True, True, False]
    assert found.days == 29
