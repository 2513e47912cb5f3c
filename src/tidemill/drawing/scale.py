"""Scales of axes: values to pixels, with ticks at round numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import ceil, floor, isfinite, log10

from tidemill.core.lazy_dataclass import dataclass

# Values beyond it would make differences infinite.
_GREATEST = 1e300
# A span below this share of the values can't be labelled, and is as good as none.
_RESOLUTION = 1e-9
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A labelled position on an axis; the `note` is a second line below the label."""

    value: float
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values from `low` to `high` to pixels from `start` to `end`."""

    low: float
    high: float
    ticks: tuple[Tick, ...]
    start: float = 0.0
    end: float = 1.0

    def at(self, value: float) -> float:
        """The pixel of a value; a value outside the scale is placed at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def between(self, start: float, end: float) -> Scale:
        """The same scale on other pixels."""
        return replace(self, start=start, end=end)


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that are finite numbers, limited to what can be drawn."""
    return [
        min(max(value, -_GREATEST), _GREATEST)
        for value in values
        if value is not None and isfinite(value)
    ]


def number_scale(
    values: Iterable[float | None],
    *,
    zero: bool = False,
    low: float | None = None,
    high: float | None = None,
    padding: float = 0.0,
    count: int = 5,
    label: Callable[[float, float], str] | None = None,
) -> Scale:
    """A linear scale over all finite values, with about `count` ticks at multiples of 1, 2 or 5.

    `zero` includes zero; `low` and `high` are values to include. Beyond the other values, the scale
    continues by the share `padding`. `label` writes a tick's value, given the step.
    """
    exact = finite([low, high, *([0.0] if zero else [])])
    found = [*finite(values), *exact]
    least, greatest = _widened(min(found, default=0.0), max(found, default=0.0), zero)
    room = (greatest - least) * padding
    first = least if least in exact else least - room
    last = greatest if greatest in exact else greatest + room
    step = nice_step((last - first) / max(count, 1))
    places = _places(step)
    # Rounded, because 3 * 0.1 isn't 0.3.
    numbers = [
        round(n * step, places) + 0.0
        for n in range(ceil(first / step - 1e-9), floor(last / step + 1e-9) + 1)
    ]
    write = label or number_label
    ticks = tuple(Tick(value=value, label=write(value, step)) for value in numbers)
    return Scale(low=first, high=last, ticks=ticks)


def nice_step(rough: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that isn't below `rough`."""
    exponent = floor(log10(rough))
    steps = (float(f"{factor}e{exponent}") for factor in (1, 2, 5, 10, 20))
    return next(step for step in steps if step >= rough * (1 - 1e-9))


def number_label(value: float, step: float) -> str:
    """A tick's value with as many digits as the step needs: `1,200`, `0.05`, `1.5M`, `2e-09`."""
    if value == 0:
        return "0"
    if step < 1e-6 or step >= 1e14:
        digits = max(floor(log10(abs(value))) - floor(log10(step)), 0)
        return f"{value:.{digits}e}".replace("e+", "e")
    # The step alone decides, so that all labels of an axis have one unit.
    unit, prefix = next((each for each in _PREFIXES if step >= each[0] / 5), (1.0, ""))
    return f"{value / unit:,.{_places(step / unit)}f}{prefix}"


def percent_label(value: float, step: float) -> str:
    """A share as percent: `12.5%`."""
    return f"{value * 100:,.{_places(step * 100)}f}%"


def _widened(least: float, greatest: float, zero: bool) -> tuple[float, float]:
    """The two values, or two around them when they are almost equal."""
    size = max(abs(least), abs(greatest))
    if greatest - least > size * _RESOLUTION and greatest - least > 1e-290:
        return least, greatest
    if size < 1e-290:
        return (0.0, 1.0) if zero else (-1.0, 1.0)
    return least - size / 2, greatest + size / 2


def _places(step: float) -> int:
    """The decimals that multiples of a step have."""
    return max(-floor(log10(step) + 1e-9), 0)
