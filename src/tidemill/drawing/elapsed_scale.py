"""The scale of an axis of elapsed time, in seconds, minutes, hours or days since a beginning."""

from __future__ import annotations

from tidemill.drawing.scale import Scale, Tick, nice_step

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_UNITS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
# The steps between ticks from a second on; below, they are multiples of 1, 2 and 5.
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
)
_SHORTEST = 0.01


def elapsed_scale(seconds: float, *, count: int = 6) -> Scale:
    """A scale from zero to so many seconds, with at most about `count` ticks."""
    high = max(seconds, _SHORTEST)
    rough = high / count
    step = next(
        (float(each) for each in _STEPS if rough > 0.5 and each >= rough),
        nice_step(rough) if rough <= 0.5 else nice_step(rough / _DAY) * _DAY,
    )
    ticks = (
        Tick(value=n * step, label=duration_label(n * step)) for n in range(int(high / step) + 1)
    )
    return Scale(low=0.0, high=high, ticks=tuple(ticks))


def duration_label(seconds: float) -> str:
    """A duration in its two largest units: `0.25 s`, `12 s`, `4 min 5 s`, `2 h`, `3 d 4 h`."""
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    unit, name = next(each for each in _UNITS if whole >= each[0])
    smaller, rest = _UNITS[_UNITS.index((unit, name)) + 1], whole % unit
    more = f" {rest // smaller[0]} {smaller[1]}" if rest // smaller[0] else ""
    return f"{whole // unit:,} {name}{more}"
