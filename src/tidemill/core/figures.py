"""Write numbers, sizes and lengths of time."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count(number: int) -> str:
    """`12,345`; zero is `-`, so that other numbers stand out."""
    return f"{number:,}" if number else "-"


def size(number: int) -> str:
    """Bytes in the unit with at most three digits before the point: `3.2 MB`."""
    if not number:
        return "-"
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return (
        f"{value:.1f} {_UNITS[unit]}" if unit and value < 99.95 else f"{value:.0f} {_UNITS[unit]}"
    )


def seconds(number: float) -> str:
    """`0.42 s`, `12.3 s`, `3 min 20 s`."""
    if number >= 119.5:
        minutes, rest = divmod(round(number), 60)
        return f"{minutes} min {rest} s"
    return f"{number:.1f} s" if number >= 9.995 else f"{number:.2f} s"


def approximate_seconds(number: float) -> str:
    """Estimated seconds: `20 ms`, `0.31 s`, `3.1 s`, `12 s`, `3 min`, `2.5 h`; at least `1 ms`."""
    if number >= 5400:
        return f"{number / 3600:.1f} h"
    if number >= 89.5:
        return f"{number / 60:.0f} min"
    if number >= 9.95:
        return f"{number:.0f} s"
    if number >= 0.0995:
        return f"{number:.1f} s" if number >= 0.995 else f"{number:.2f} s"
    return f"{max(1000 * number, 1):.0f} ms"


def age(seconds: float) -> str:
    """How long ago something was, in its largest unit of which there are two: `90 s`, `5 min`, `1,200 d`."""
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{count(int(seconds // length))} {unit}"
    return f"{seconds:.0f} s"
