"""Read lists of (start, price) as CSV or JSON text."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from io import StringIO
from math import isfinite
from typing import TypeAlias

from tidemill.core.units import is_finite
from tidemill.offpeak.price_curve import PriceCurve, curve_from_starts

# A start and a price, as they are written.
_Entry: TypeAlias = tuple[object, object]
# Two months of quarters of an hour; more is no list of prices.
MOST_ENTRIES = 6_000
_UNKNOWN = ("", "null", "none", "nan", "n/a", "na", "-")
_STARTS, _PRICES = ("start", "time", "from"), ("price", "value")


class PriceListError(ValueError):
    """A list of prices can't be used; the message names the entry and what is wrong with it."""


def parse_prices(text: str, zone: tzinfo | None) -> PriceCurve:
    """The prices in a text: JSON if it begins with a bracket, else CSV with or without a header.

    Times without an offset are of the `zone`. Entries without a price are gaps. Raises PriceListError.
    """
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith(("[", "{")):
        return curve_of_entries(_json_entries(stripped), zone)
    return curve_of_entries(_csv_entries(stripped), zone)


def curve_of_entries(entries: Iterable[_Entry], zone: tzinfo | None) -> PriceCurve:
    """The prices of entries with a time (ISO text, a datetime, Unix seconds) and a number each."""
    points: dict[float, float | None] = {}
    local: set[datetime] = set()
    for number, (start, price) in enumerate(entries, 1):
        if number > MOST_ENTRIES:
            raise PriceListError(f"there are more than {MOST_ENTRIES:,} prices")
        place = f"entry {number}"
        at = _moment(start, zone, local, place)
        value = _price(price, place)
        if at in points and points[at] != value:
            raise PriceListError(f"{place}: there is another price for {_shown(start)} before it")
        points[at] = value
    return curve_from_starts(points.items())


def _csv_entries(text: str) -> Iterator[_Entry]:
    head = text.partition("\n")[0]
    separator = next((mark for mark in (";", "\t") if mark in head), ",")
    try:
        rows = [row for row in csv.reader(StringIO(text), delimiter=separator) if any(row)]
    except csv.Error as error:
        raise PriceListError(f"it isn't CSV: {error}") from error
    if not rows:
        return
    first, second = 0, 1
    names = [cell.strip().lower() for cell in rows[0]]
    if not any(character.isdigit() for character in "".join(rows[0])):
        first, second = _column(names, _STARTS), _column(names, _PRICES)
        del rows[0]
    for number, row in enumerate(rows, 1):
        if len(row) <= max(first, second):
            raise PriceListError(f"entry {number} has no price: {_shown(separator.join(row))}")
        yield row[first].strip(), row[second].strip()


def _column(names: list[str], wanted: tuple[str, ...]) -> int:
    for name in wanted:
        if name in names:
            return names.index(name)
    raise PriceListError(f"there is no column {wanted[0]!r}; there are {', '.join(names)}")


def _json_entries(text: str) -> Iterator[_Entry]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PriceListError(f"it isn't JSON: {error}") from error
    if isinstance(found, dict):
        found = found.get("prices")
    if not isinstance(found, list):
        raise PriceListError('it has no list of prices, such as {"prices": [[start, price], ...]}')
    yield from map(_json_entry, found)


def _json_entry(entry: object) -> _Entry:
    if isinstance(entry, dict):
        return entry.get("start"), entry.get("price")
    if isinstance(entry, list) and len(entry) == 2:
        return entry[0], entry[1]
    raise PriceListError(f"{_shown(entry)} is not [start, price]")


def _moment(value: object, zone: tzinfo | None, local: set[datetime], place: str) -> float:
    """The Unix seconds of a start; a local time that comes twice is the second one that clocks show."""
    if is_finite(value):
        return _in_range(float(value), place)
    moment = value if isinstance(value, datetime) else _parse_time(value, place)
    if moment.tzinfo is None:
        if zone is None:
            raise PriceListError(
                f"{place}: {_shown(value)} has no offset from UTC; write one, such as +01:00, or set `zone`"
            )
        if moment in local:
            moment = moment.replace(fold=1)
        local.add(moment.replace(fold=0))
        moment = moment.replace(tzinfo=zone)
        if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(
            tzinfo=None
        ):
            raise PriceListError(f"{place}: clocks in {zone} never show {_shown(value)}")
    try:
        return _in_range(moment.timestamp(), place)
    except (OverflowError, ValueError) as error:
        raise PriceListError(f"{place}: {_shown(value)} is out of range") from error


def _parse_time(value: object, place: str) -> datetime:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError as error:
        raise PriceListError(
            f"{place}: {_shown(value)} is not a time such as 2026-01-31T14:00+01:00"
        ) from error


def _in_range(at: float, place: str) -> float:
    """A time for which there is a date, with a day to spare for time zones."""
    if not _FIRST <= at <= _LAST:
        raise PriceListError(f"{place}: {at:g} is not a time in Unix seconds")
    return at


_FIRST, _LAST = (
    (datetime.min + timedelta(days=2)).replace(tzinfo=UTC).timestamp(),
    (datetime.max - timedelta(days=2)).replace(tzinfo=UTC).timestamp(),
)


def _price(value: object, place: str) -> float | None:
    """A price, which may be negative; None if it isn't known."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _UNKNOWN):
        return None
    try:
        if isinstance(value, bool):
            raise TypeError
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise PriceListError(f"{place}: {_shown(value)} is not a price") from None
    return found if isfinite(found) else None


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
