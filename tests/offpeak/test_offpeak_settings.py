"""The settings of off-peak work: what is read, and how faults are named."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.core.toml_text import parse_toml
from tidemill.offpeak.offpeak_settings import OffPeakSettings, parse_offpeak_settings

PLACE = "pyproject.toml: [tool.tidemill.offpeak]"
NIGHT: dict[str, Any] = {"days": "mon-fri", "from": "22:00", "to": "06:00", "price": 0.12}


def parse(**table: Any) -> OffPeakSettings:
    return parse_offpeak_settings(table, PLACE)


def with_bands(*bands: Any, **more: Any) -> OffPeakSettings:
    return parse(tariff={"bands": [*bands], **more}, zone="Europe/Berlin")


def test_without_a_table_nothing_waits() -> None:
    assert not OffPeakSettings().is_set


@pytest.mark.parametrize(
    ("table", "source"),
    [
        ({"file": "prices.csv"}, "prices.csv"),
        ({"function": "prices.market:day_ahead"}, "prices.market:day_ahead"),
        ({"tariff": {"bands": [NIGHT]}, "zone": "UTC"}, "the tariff"),
    ],
)
def test_there_is_one_source(table: dict[str, Any], source: str) -> None:
    found = parse(**table)
    assert (found.is_set, found.source) == (True, source)


def test_a_tariff_is_read_as_it_is_documented() -> None:
    text = b"""
        zone = "Europe/Berlin"
        unit = "EUR/kWh"
        per_cpu_hour = 0.01
        default_deadline = "8h"
        old = "2d"
        timeout = "5s"
        [tariff]
        price = 0.31
        [[tariff.bands]]
        days = "mon-fri"
        from = "22:00"
        to = "06:00"
        price = 0.12
        [[tariff.bands]]
        days = "SAT, sun"
        price = -1
        [[tariff.bands]]
        days = "mon"
        from = "12:00"
        to = "12:30"
        price = 0
    """
    # The night of Friday ends on Saturday, where the other band holds.
    table = parse_toml(text)
    with pytest.raises(UsageError, match=r"offpeak\.tariff\] two bands hold on sat at 00:00"):
        parse_offpeak_settings(table, PLACE)
    table["tariff"]["bands"][0]["days"] = "sun-thu"
    table["tariff"]["bands"][1]["to"] = "22:00"
    found = parse_offpeak_settings(table, PLACE)
    assert (found.unit, found.per_cpu_hour) == ("EUR/kWh", 0.01)
    assert (found.default_deadline, found.old, found.timeout) == (28_800, 172_800, 5)
    assert found.tariff is not None
    assert [sorted(band.days) for band in found.tariff.bands] == [[0, 1, 2, 3, 6], [5, 6], [0]]
    assert found.tariff.default == 0.31


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({}, "needs exactly one of file, tariff and function, which it doesn't have"),
        ({"file": "a", "function": "b:c"}, "function, not file and function"),
        ({"fille": "a"}, "fille: did you mean 'file'"),
        ({"file": ""}, "file = '' is not text"),
        ({"file": 3}, "file = 3 is not text"),
        ({"file": "a", "zone": "Mars"}, "zone = 'Mars' is not a time zone"),
        ({"file": "a", "zone": 1}, "zone = 1 is not text"),
        ({"file": "a", "unit": 1}, "unit = 1 is not text"),
        ({"file": "a", "per_cpu_hour": 0}, "per_cpu_hour = 0 is not a number above 0"),
        ({"file": "a", "per_cpu_hour": float("nan")}, "per_cpu_hour = nan is not a number"),
        ({"file": "a", "default_deadline": "soon"}, "default_deadline = 'soon' is not a duration"),
        ({"file": "a", "old": -1}, "old = -1 is not a duration"),
        ({"function": "prices"}, "function = 'prices' is not module:name"),
        ({"function": "prices:a; b"}, "is not module:name"),
        ({"file": "a", "defer": 1}, "[tool.tidemill.offpeak.defer] = 1 is not a table of stages"),
        ({"file": "a", "defer": {"fit": True}}, "offpeak.defer] fit = True is not a duration"),
        ({"tariff": 1}, "[tool.tidemill.offpeak.tariff] = 1 is not a table"),
        ({"tariff": {}}, "[tool.tidemill.offpeak.tariff] has no bands"),
        ({"tariff": {"bands": [NIGHT]}}, "needs `zone` in [tool.tidemill.offpeak]"),
        ({"tariff": {"band": []}}, "band: did you mean 'bands'"),
        ({"tariff": {"bands": [1]}}, "bands = [1] is not a list of tables"),
    ],
)
def test_faults_are_named(table: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(**table)
    assert why in str(caught.value)


def test_stages_may_wait_longer_or_not_at_all() -> None:
    assert parse(file="a", defer={"fit": "2h", "daily": False}).defer == {
        "fit": 7_200,
        "daily": None,
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"days": "mon-fry"}, "band 1 days = 'mon-fry' is not days of the week"),
        ({"days": ""}, "band 1 days = '' is not days"),
        ({"days": 1}, "band 1 days = 1 is not days"),
        ({"from": "22"}, "band 1 from = '22' is not a time of day"),
        ({"from": "24:00"}, "band 1 from = '24:00' is the end of a day"),
        ({"to": "24:01"}, "band 1 to = '24:01' is not a time of day"),
        ({"to": "12:60"}, "band 1 to = '12:60' is not a time of day"),
        ({"to": 6}, "band 1 to = 6 is not a time of day"),
        ({"price": "cheap"}, "band 1 price = 'cheap' is not a price"),
        ({"price": float("inf")}, "band 1 price = inf is not a price"),
        ({"cost": 1}, "band 1 cost: "),
    ],
)
def test_faults_of_bands_are_named(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_bands({**NIGHT, **changed})
    assert f"[tool.tidemill.offpeak.tariff] {why}" in str(caught.value)


def test_faults_of_tariffs_are_named() -> None:
    with pytest.raises(UsageError, match="band 1 has no price"):
        with_bands({"days": "mon"})
    with pytest.raises(UsageError, match="price = 'x' is not a price"):
        with_bands(NIGHT, price="x")
