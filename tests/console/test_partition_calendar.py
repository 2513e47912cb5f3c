"""Partitions by day and by month."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest

from tidemill.console.io.drawn_pages import page_url
from tidemill.console.partition_calendar import partition_calendar, picture_of_days
from tidemill.core.partition import Grain, Partitioning
from tidemill.ledger.binding import Binding, Product


def bound(*keys: str) -> dict[str, Binding]:
    return {
        key: Binding(
            key="k", recipe="r", contract="1.0.0", check="c", run="run", at=1e9 + 7_200 * number,
            product=Product(content="x", rows=number, bytes=10),
        )
        for number, key in enumerate(keys)
    }  # fmt: skip


def test_days_months_and_gaps() -> None:
    found = partition_calendar(
        Partitioning(column="day", grain=Grain.DAY),
        bound("2024-01-30", "2024-02-02", "(none)", "2024-02-03"),
    )
    assert [(day.period, day.rows) for day in found.days][-1] == ("2024-02-03", 3)
    assert [(month.period, month.partitions, month.missing) for month in found.months] == [
        ("2024-02", 2, 1),
        ("2024-01", 1, 1),
    ]


def test_hours_are_summed_up_and_months_have_no_days() -> None:
    hours = partition_calendar(
        Partitioning(column="at", grain=Grain.HOUR), bound("2024-01-01T00", "2024-01-01T05")
    )
    assert [(day.period, day.partitions) for day in hours.days] == [("2024-01-01", 2)]
    months = partition_calendar(Partitioning(column="at", grain=Grain.MONTH), bound("2024-01"))
    assert (months.days, len(months.months)) == ((), 1)
    assert partition_calendar(Partitioning(column="shop"), bound("a")).months == ()
    assert partition_calendar(Partitioning(column="at", grain=Grain.DAY), bound("x")).days == ()


def test_a_calendar_is_small_however_long_a_history_is() -> None:
    days = [str(date(2015, 1, 1) + timedelta(days=n)) for n in range(3_000)]
    found = partition_calendar(
        Partitioning(column="day", grain=Grain.DAY), bound("0001-01-01", *days)
    )
    assert (len(found.days), len(found.months)) == (371, 36)
    assert found.earlier == 64


@pytest.mark.parametrize("by", ["rows", "publication"])
def test_the_picture_links_to_partitions(by: str) -> None:
    found = partition_calendar(
        Partitioning(column="day", grain=Grain.DAY), bound("2024-01-30", "2024-02-02")
    )
    days = [dataclasses.asdict(day) for day in found.days]
    drawn = picture_of_days(days, by, page_url("prod"), "<s>")
    assert 'href="/stages/%3Cs%3E/partitions?contains=2024-01-30"' in drawn
    assert "<s>" not in drawn
    assert "style=" not in drawn
