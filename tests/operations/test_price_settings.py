"""Prices in the settings."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.ledger.price import Price
from tidemill.operations.price_settings import parse_prices, require_one_form

PLACE = "[[tool.tidemill.prices]]"
NEW_YEAR = 1_767_225_600.0


def parse(*tables: Any, zone: str = "UTC") -> tuple[Price, ...]:
    return parse_prices([*tables], PLACE, zone)


def test_prices_are_ordered_by_the_moment_from_which_they_count() -> None:
    every = {
        "from": date(2026, 1, 1),
        "currency": " EUR ",
        "cpu_hour": 1,
        "memory_gb_hour": 0.5,
        "gpu_hour": 2,
        "storage_gb_month": 0.02,
        "egress_gb": 0.09,
        "units": {"tokens.gpt": 2e-6, "calls.geocoder": 0},
    }
    assert parse(every, {"cpu_hour": 0.04}) == (
        Price(cpu_hour=0.04),
        Price(
            cpu_hour=1.0,
            currency="EUR",
            memory_gb_hour=0.5,
            gpu_hour=2.0,
            storage_gb_month=0.02,
            egress_gb=0.09,
            units={"tokens.gpt": 2e-6, "calls.geocoder": 0.0},
            since=NEW_YEAR,
        ),
    )


@pytest.mark.parametrize(
    ("moment", "zone", "since"),
    [
        (date(2026, 1, 1), "Asia/Tokyo", NEW_YEAR - 9 * 3600),
        (datetime(2026, 1, 1, 5), "Asia/Tokyo", NEW_YEAR - 4 * 3600),
        (datetime(2026, 1, 1, 5, tzinfo=UTC), "Asia/Tokyo", NEW_YEAR + 5 * 3600),
    ],
)
def test_dates_begin_where_the_days_of_metrics_do(moment: date, zone: str, since: float) -> None:
    assert parse({"from": moment}, zone=zone)[0].since == since


@pytest.mark.parametrize(
    ("tables", "fault"),
    [
        ("cheap", r"'cheap' is not a list of tables: write \[\[tool.tidemill.prices\]\]"),
        ([], "not a list of tables"),
        ([1], "number 1: 1 is not a table"),
        ([{"cpu_hours": 1}], r"number 1: cpu_hours: did you mean 'cpu_hour'\?"),
        ([{}, {"cpu_hour": -1, "from": date(2026, 1, 1)}], "number 2: cpu_hour = -1 is negative"),
        ([{"cpu_hour": float("nan")}], "cpu_hour = nan is not a price, such as 0.04"),
        ([{"cpu_hour": float("inf")}], "not a price"),
        ([{"gpu_hour": True}], "gpu_hour = True is not a price"),
        ([{"egress_gb": "9ct"}], "egress_gb = '9ct' is not a price"),
        ([{"currency": 1}], "currency = 1 is not the name of a currency"),
        ([{"currency": " "}], "not the name of a currency"),
        ([{"units": 1}], "units = 1 is not a table"),
        ([{"units": {"calls": -1}}], "units.calls = -1 is negative"),
        ([{"from": "2026-01-01"}], r"from = '2026-01-01' is not a date, .*without quotes"),
        ([{}, {}], "number 2: number 1 has no `from` either; only one can count at a time"),
        (
            [{"from": date(2026, 1, 1)}, {}, {"from": datetime(2026, 1, 1)}],
            "number 3: number 1 has the same `from`",
        ),
    ],
)
def test_what_is_no_price_is_said(tables: Any, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        parse_prices(tables, PLACE, "Asia/Tokyo")


def test_prices_have_one_form() -> None:
    require_one_form({"cpu_hour": 1, "workflow": "a:b"}, "[tool.tidemill]")
    require_one_form({"prices": [{}], "workflow": "a:b"}, "[tool.tidemill]")
    with pytest.raises(UsageError, match=r"currency: the prices are in .*set it there"):
        require_one_form({"currency": "EUR", "prices": [{}]}, "[tool.tidemill]")
