"""Read from `[tool.tidemill.scorecard]` the targets of the four numbers, and when a weekly note is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tidemill.core.errors import Fault, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import time_zone
from tidemill.core.units import is_finite, parse_seconds

SCORECARD_PLACE = "[tool.tidemill.scorecard]"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_KEYS = (
    *("window", "deliver_within", "cost_per_1000", "recover_within", "fresh"),
    *("weekly", "zone", "channels"),
)
_DAY_S = 86_400.0
_WEEKLY = re.compile(r"([A-Za-z]+) +([01]?\d|2[0-3]):([0-5]\d)")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")
_WINDOW_S, _SHORTEST_S, _LONGEST_S = 28 * _DAY_S, _DAY_S, 90 * _DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyTime:
    """A time of each week: the weekday (0 for Monday), the hour and the minute in a time zone."""

    weekday: int
    hour: int
    minute: int

    def __str__(self) -> str:
        return f"{DAYS[self.weekday]} {self.hour:02}:{self.minute:02}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorecardSettings:
    """The numbers are those of the last `window_s` seconds; each has a target, or None.

    Changes are to be delivered `deliver_within` seconds, errors recovered from `recover_within` seconds,
    1,000 predictions are to cost at most `cost_per_1000`, and data are to be fresh for the share `fresh` of
    the time. The note is sent at `weekly` in the time zone `zone` ("": that of metrics) by `channels`
    of `alerts` (none: by all).
    """

    window_s: float = _WINDOW_S
    deliver_within: float | None = None
    cost_per_1000: float | None = None
    recover_within: float | None = None
    fresh: float | None = None
    weekly: WeeklyTime | None = None
    zone: str = ""
    channels: tuple[str, ...] = ()


def parse_scorecard_settings(table: Mapping[str, Any], place: str) -> ScorecardSettings:
    """Read the table `scorecard`; `place` names it in messages. UsageError names the entry and what fits."""
    for name in table:
        if name not in _KEYS:
            raise UsageError(f"{place} {name}: {did_you_mean(name, _KEYS)}")
    window = _seconds(table, "window", place)
    if window is not None and not _SHORTEST_S <= window <= _LONGEST_S:
        raise UsageError(
            f'{place} window = {table["window"]!r} is not between 1 and 90 days, such as "28d"'
        )
    return ScorecardSettings(
        window_s=_WINDOW_S if window is None else window,
        deliver_within=_seconds(table, "deliver_within", place),
        cost_per_1000=_amount(table, "cost_per_1000", place),
        recover_within=_seconds(table, "recover_within", place),
        fresh=_share(table, "fresh", place),
        weekly=_weekly(table, place),
        zone=_zone(table, place),
        channels=_channels(table, place),
    )


def _seconds(table: Mapping[str, Any], name: str, place: str) -> float | None:
    if name not in table:
        return None
    try:
        return parse_seconds(table[name])
    except ValueError as error:
        raise UsageError(f"{place} {name}: {error}") from None


def _amount(table: Mapping[str, Any], name: str, place: str) -> float | None:
    value = table.get(name)
    if value is None:
        return None
    if not is_finite(value) or value < 0:
        raise UsageError(f"{place} {name} = {value!r} is not an amount of money, such as 0.05")
    return float(value)


def _share(table: Mapping[str, Any], name: str, place: str) -> float | None:
    value = table.get(name)
    if value is None:
        return None
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else value
    if not is_finite(share) or not 0 < share <= 1:
        raise UsageError(
            f'{place} {name} = {value!r} is not a share of time, such as "99%" or 0.99'
        )
    return float(share)


def _weekly(table: Mapping[str, Any], place: str) -> WeeklyTime | None:
    value = table.get("weekly", "")
    if value == "":
        return None
    match = _WEEKLY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise UsageError(f'{place} weekly = {value!r} is not a day and a time, such as "mon 08:00"')
    day = match[1].lower()[:3]
    if day not in DAYS:
        raise UsageError(f"{place} weekly = {value!r}: {did_you_mean(day, DAYS)}")
    return WeeklyTime(weekday=DAYS.index(day), hour=int(match[2]), minute=int(match[3]))


def _zone(table: Mapping[str, Any], place: str) -> str:
    zone = table.get("zone", "")
    if not isinstance(zone, str):
        raise UsageError(f"{place} zone = {zone!r} is not text")
    try:
        return zone and time_zone(zone).key
    except UsageError as error:
        raise UsageError(f"{place} zone = {error}") from error


def _channels(table: Mapping[str, Any], place: str) -> tuple[str, ...]:
    value = table.get("channels", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise UsageError(f'{place} channels = {value!r} is not a list of names, such as ["team"]')
    return tuple(values)


def channel_faults(names: Iterable[str], known: Collection[str], where: str) -> Iterator[Fault]:
    """The names of channels that aren't among those of `alerts`; `where` names the table."""
    for name in names:
        if name not in known:
            advice = did_you_mean(name, known) if known else "none is configured"
            yield Fault(message=f"channels: there is no channel {name!r} ({advice})", where=where)
