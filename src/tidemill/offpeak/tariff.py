"""A tariff: prices by weekday and time of day in a time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import TYPE_CHECKING

from tidemill.core.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from tidemill.offpeak.price_curve import PriceCurve, PricePiece

DAY_MINUTES = 1_440
_WEEK_MINUTES = 7 * DAY_MINUTES
# Offsets from UTC, and their changes, are multiples of a quarter of an hour.
_QUARTER = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffBand:
    """A price on some `days` (0 is Monday) from one minute of the day to another.

    A band that ends at or before the minute of its begin goes on until the next day.
    """

    days: frozenset[int]
    begin: int
    end: int
    price: float

    @property
    def minutes(self) -> Iterator[int]:
        """The minutes of the week, from Monday 00:00, in which it holds."""
        length = (self.end - self.begin) % DAY_MINUTES or DAY_MINUTES
        for day in sorted(self.days):
            first = day * DAY_MINUTES + self.begin
            yield from (minute % _WEEK_MINUTES for minute in range(first, first + length))


@dataclass(frozen=True, kw_only=True)
class Tariff:
    """Bands that don't overlap, and the `default` price at all other times (None: not known).

    ValueError names the first time at which two bands hold.
    """

    zone: tzinfo = UTC
    bands: tuple[TariffBand, ...] = ()
    default: float | None = None
    _by_minute: Mapping[int, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[int, float] = {}
        for band in self.bands:
            for minute in band.minutes:
                if minute in found:
                    raise ValueError(f"two bands hold on {_name_of(minute)}")
                found[minute] = band.price
        object.__setattr__(self, "_by_minute", found)

    def curve(self, begin: float, end: float) -> PriceCurve:
        """The prices from `begin` until `end` (Unix seconds), as clocks of the zone show the time."""
        from tidemill.offpeak.price_curve import PriceCurve, PricePiece

        pieces: list[PricePiece] = []
        for start, until in self._stretches(begin, end):
            price = self._price_at(start)
            if price is None:
                continue
            last = pieces[-1] if pieces else None
            if last is not None and last.end == start and last.price == price:
                pieces[-1] = PricePiece(start=last.start, end=until, price=price)
            else:
                pieces.append(PricePiece(start=start, end=until, price=price))
        return PriceCurve(tuple(pieces))

    @cached_property
    def _step_s(self) -> int:
        """The seconds within which no price changes: a quarter of an hour if bands allow it."""
        edges = [edge for band in self.bands for edge in (band.begin, band.end)]
        return 60 * (_QUARTER if all(edge % _QUARTER == 0 for edge in edges) else 1)

    def _stretches(self, begin: float, end: float) -> Iterator[tuple[float, float]]:
        start = begin
        while start < end:
            until = min(end, (start // self._step_s + 1) * self._step_s)
            yield start, until
            start = until

    def _price_at(self, moment: float) -> float | None:
        local = datetime.fromtimestamp(moment, self.zone)
        minute = local.weekday() * DAY_MINUTES + local.hour * 60 + local.minute
        return self._by_minute.get(minute, self.default)


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _name_of(minute: int) -> str:
    day, left = divmod(minute, DAY_MINUTES)
    return f"{WEEKDAYS[day]} at {left // 60:02}:{left % 60:02}"
