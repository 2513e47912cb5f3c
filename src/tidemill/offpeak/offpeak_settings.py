"""Read from the settings when work is cheap and how long it may wait: `[tool.tidemill.offpeak]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import tzinfo
from hashlib import sha256
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.time_zone import time_zone
from tidemill.core.units import is_finite, parse_seconds
from tidemill.offpeak.tariff import DAY_MINUTES, WEEKDAYS, Tariff, TariffBand

_SOURCES = ("file", "tariff", "function")
_LENGTHS = ("default_deadline", "old", "timeout")
_KEYS = (*_SOURCES, "zone", "unit", "per_cpu_hour", "defer", *_LENGTHS)
_BAND_KEYS = ("days", "from", "to", "price")
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPeakSettings:
    """Where prices come from: a `file` of the project, a `tariff`, or a `function` (`module:name`).

    Without any, no work waits. Local times are of `zone`. Prices are in `unit`, such as "EUR/kWh", of which
    a CPU hour takes `per_cpu_hour` (None: not known, so that savings are told as a share only). What says
    nothing else may wait for `default_deadline`; `defer` says it by stage (None: not at all). Partitions
    that end `old` before the newest one of their stage may wait, too. A function is ended after `timeout`.
    Lengths are in seconds.
    """

    file: str = ""
    tariff: Tariff | None = None
    function: str = ""
    zone: tzinfo | None = None
    unit: str = ""
    per_cpu_hour: float | None = None
    default_deadline: float = 86_400.0
    old: float = 7 * 86_400.0
    timeout: float = 30.0
    defer: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def is_set(self) -> bool:
        """Whether there is a source of prices."""
        return bool(self.file or self.function or self.tariff is not None)

    @property
    def source(self) -> str:
        """What names the source of prices in messages."""
        return self.file or self.function or "the tariff"

    @property
    def price_list(self) -> str:
        """What names the list of prices, so that prices of a tariff that was changed aren't compared."""
        if self.tariff is None:
            return self.source
        return f"tariff {sha256(repr(self.tariff).encode()).hexdigest()[:12]}"


def parse_offpeak_settings(table: Mapping[str, Any], place: str) -> OffPeakSettings:
    """Read the table `offpeak`; `place` names it in messages. UsageError names the entry and what fits."""
    for name in table:
        if name not in _KEYS:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _KEYS)}")
    given = [name for name in _SOURCES if name in table]
    if len(given) != 1:
        found = f"not {' and '.join(given)}" if given else "which it doesn't have"
        raise UsageError(f"{place} needs exactly one of file, tariff and function, {found}")
    zone = _zone(table, place)
    tariff = place.replace("offpeak]", "offpeak.tariff]")
    readers: Mapping[str, Callable[[Any], Any]] = {
        "file": lambda value: _text(value, f"{place} file"),
        "unit": lambda value: _text(value, f"{place} unit"),
        "function": lambda value: _function(value, f"{place} function"),
        "tariff": lambda value: _tariff(value, zone, tariff),
        "per_cpu_hour": lambda value: _amount(value, f"{place} per_cpu_hour"),
        "defer": lambda value: _defer(value, place.replace("offpeak]", "offpeak.defer]")),
    }
    values: dict[str, Any] = {
        name: readers[name](value) if name in readers else _length(value, f"{place} {name}")
        for name, value in table.items()
        if name != "zone"
    }
    return OffPeakSettings(zone=zone, **values)


def _function(value: object, place: str) -> str:
    name = _text(value, place)
    if _FUNCTION.fullmatch(name) is None:
        raise UsageError(f"{place} = {name!r} is not module:name, such as prices:day_ahead")
    return name


def _defer(table: object, place: str) -> Mapping[str, float | None]:
    """How long the work of stages may wait; false says that it doesn't."""
    if not isinstance(table, dict):
        raise UsageError(f"{place} = {table!r} is not a table of stages, such as train = '8h'")
    return {
        name: None if value is False else _length(value, f"{place} {name}")
        for name, value in table.items()
    }


def _zone(table: Mapping[str, Any], place: str) -> tzinfo | None:
    if "zone" not in table:
        return None
    try:
        return time_zone(_text(table["zone"], f"{place} zone"))
    except UsageError as error:
        raise UsageError(
            f"{place} zone = {error}" if place not in str(error) else str(error)
        ) from error


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{place} = {value!r} is not text")
    return value


def _length(value: object, place: str) -> float:
    try:
        return parse_seconds(value)
    except ValueError as error:
        raise UsageError(f"{place} = {error}") from error


def _amount(value: object, place: str) -> float:
    if not is_finite(value) or value <= 0:
        raise UsageError(f"{place} = {value!r} is not a number above 0, such as 0.01")
    return float(value)


def _tariff(table: object, zone: tzinfo | None, place: str) -> Tariff:
    if not isinstance(table, dict):
        raise UsageError(f"{place} = {table!r} is not a table")
    for name in table:
        if name not in ("bands", "price"):
            raise UsageError(f"{place} {name}: {did_you_mean(name, ('bands', 'price'))}")
    bands = table.get("bands", [])
    if not isinstance(bands, list) or not all(isinstance(band, dict) for band in bands):
        raise UsageError(f"{place} bands = {bands!r} is not a list of tables")
    if not bands:
        raise UsageError(f"{place} has no bands: name at least one time with another price")
    if zone is None:
        raise UsageError(
            f"{place} needs `zone` in [tool.tidemill.offpeak], such as 'Europe/Berlin'"
        )
    found = tuple(_band(band, f"{place} band {number}") for number, band in enumerate(bands, 1))
    default = _price(table["price"], f"{place} price") if "price" in table else None
    try:
        return Tariff(zone=zone, bands=found, default=default)
    except ValueError as error:
        raise UsageError(f"{place} {error}: let only one of them hold then") from error


def _band(band: Mapping[str, Any], place: str) -> TariffBand:
    for name in band:
        if name not in _BAND_KEYS:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _BAND_KEYS)}")
    if "price" not in band:
        raise UsageError(f"{place} has no price")
    begin = _minute(band.get("from", "00:00"), f"{place} from")
    end = _minute(band.get("to", "24:00"), f"{place} to")
    if begin == DAY_MINUTES:
        raise UsageError(f"{place} from = '24:00' is the end of a day: write '00:00'")
    return TariffBand(
        days=_days(band.get("days", "mon-sun"), f"{place} days"),
        begin=begin,
        end=end,
        price=_price(band["price"], f"{place} price"),
    )


def _price(value: object, place: str) -> float:
    if not is_finite(value):
        raise UsageError(f"{place} = {value!r} is not a price, such as 0.12")
    return float(value)


def _minute(value: object, place: str) -> int:
    """The minute of the day of a time such as "22:00"; "24:00" is the end of the day."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        hour, minute = int(match[1]), int(match[2])
        if minute < 60 and hour * 60 + minute <= DAY_MINUTES:
            return hour * 60 + minute
    raise UsageError(f"{place} = {value!r} is not a time of day, such as '22:00'")


def _days(value: object, place: str) -> frozenset[int]:
    """The days in a text such as "mon-fri" or "sat,sun": 0 is Monday."""
    found: set[int] = set()
    for part in value.lower().split(",") if isinstance(value, str) else [""]:
        first, dash, last = (name.strip() for name in part.partition("-"))
        if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
            raise UsageError(
                f"{place} = {value!r} is not days of the week, such as 'mon-fri' or 'sat,sun'"
            )
        begin = WEEKDAYS.index(first)
        count = (WEEKDAYS.index(last) - begin) % 7 + 1 if dash else 1
        found.update((begin + number) % 7 for number in range(count))
    return frozenset(found)
