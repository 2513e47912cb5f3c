"""Parse durations and amounts of memory: `"90s"`, `"2GiB"`."""

from __future__ import annotations

import re
import sys
from typing import TypeGuard

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_BYTES = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_AMOUNT = re.compile(r"(-?\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is an int or a float; a bool is not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number that a float can hold: neither NaN, infinite nor a huge int."""
    return is_number(value) and abs(value) <= sys.float_info.max


def parse_seconds(length: object) -> float:
    """Parse `"90s"`, `"10m"`, `"2h"`, `"1d"` or a number of seconds; ValueError for anything else."""
    found = _parse_number(length, _SECONDS)
    if found is None:
        raise ValueError(
            f"{length!r} is not a duration; write seconds, or text such as '90s' or '10m'"
        )
    if not found > 0:
        raise ValueError(f"{length!r} is not a duration: it has to be more than 0")
    return found


def parse_bytes(amount: str | int) -> int:
    """Parse `"500MB"`, `"2GiB"` or a number of bytes; ValueError for anything else."""
    found = _parse_number(amount, _BYTES)
    if found is None or not found >= 1:
        raise ValueError(
            f"{amount!r} is not an amount of memory; write bytes, or text such as '500MB' or '2GB'"
        )
    return int(found)


def _parse_number(text: object, units: dict[str, float] | dict[str, int]) -> float | None:
    if is_number(text):
        return float(text) if is_finite(text) else None
    match = _AMOUNT.fullmatch(text.strip()) if isinstance(text, str) else None
    unit = units.get(match[2].lower()) if match else None
    found = None if match is None or unit is None else float(match[1]) * unit
    return found if is_finite(found) else None
