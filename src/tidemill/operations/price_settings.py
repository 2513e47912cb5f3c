"""Read from the settings what computing costs: `[[tool.tidemill.prices]]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from itertools import pairwise
from math import isfinite
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.local_day import time_zone
from tidemill.ledger.price import Price

_AMOUNTS = ("cpu_hour", "memory_gb_hour", "gpu_hour", "storage_gb_month", "egress_gb")
_KEYS = ("from", "currency", *_AMOUNTS, "units")
_HEADER = "[[tool.tidemill.prices]]"
# The short form, which takes the place of the list.
SHORT = ("cpu_hour", "memory_gb_hour", "currency")


def parse_prices(tables: object, place: str, zone: str) -> tuple[Price, ...]:
    """Read the tables of prices, and order them by the moment from which they count.

    Dates begin in the time `zone`; `place` names the list in messages. Raises UsageError that names the entry
    and what fits.
    """
    if not isinstance(tables, list) or not tables:
        raise UsageError(f"{place} {tables!r:.60} is not a list of tables: write {_HEADER}")
    found: list[tuple[int, Price]] = []
    for number, table in enumerate(tables, 1):
        entry = f"{place} number {number}:"
        if not isinstance(table, dict):
            raise UsageError(f"{entry} {table!r:.60} is not a table: write {_HEADER}")
        found.append((number, _price(table, entry, zone)))
    found.sort(key=lambda each: float("-inf") if each[1].since is None else each[1].since)
    for (number, earlier), (other, later) in pairwise(found):
        if earlier.since == later.since:
            same = "has no `from` either" if later.since is None else "has the same `from`"
            raise UsageError(
                f"{place} number {other}: number {number} {same}; only one can count at a time"
            )
    return tuple(price for _, price in found)


def require_one_form(table: Mapping[str, Any], place: str) -> None:
    """Raise UsageError for settings with prices in the short form and as a list."""
    both = [name for name in SHORT if name in table]
    if both and "prices" in table:
        raise UsageError(
            f"{place} {both[0]}: the prices are in [[tool.tidemill.prices]]; set it there, and remove it here"
        )


def _price(table: Mapping[str, Any], place: str, zone: str) -> Price:
    for name in table:
        if name not in _KEYS:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _KEYS)}")
    amounts = {name: _amount(table[name], f"{place} {name}") for name in _AMOUNTS if name in table}
    currency = table.get("currency", "USD")
    if not isinstance(currency, str) or not currency.strip():
        raise UsageError(
            f"{place} currency = {currency!r} is not the name of a currency, such as 'EUR'"
        )
    units = table.get("units", {})
    if not isinstance(units, dict):
        raise UsageError(
            f'{place} units = {units!r:.60} is not a table, such as {{"tokens.gpt" = 2e-6}}'
        )
    priced = {name: _amount(value, f"{place} units.{name}") for name, value in units.items()}
    found = Price(**amounts, currency=currency.strip(), units=priced)
    return replace(found, since=_moment(table["from"], place, zone)) if "from" in table else found


def _amount(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise UsageError(f"{place} = {value!r} is not a price, such as 0.04")
    if value < 0:
        raise UsageError(f"{place} = {value!r} is negative")
    return float(value)


def _moment(value: object, place: str, zone: str) -> float:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day)
    else:
        raise UsageError(
            f"{place} from = {value!r} is not a date, such as 2026-01-01 (without quotes)"
        )
    local = moment if moment.tzinfo is not None else moment.replace(tzinfo=time_zone(zone))
    return local.timestamp()
