"""How much may be spent: an amount of money, or of CPU time where no price is set."""

from __future__ import annotations

import re

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_finite

_CPU = re.compile(r"(\d+(?:\.\d+)?)\s*CPU-(hours?|minutes?|seconds?)", re.IGNORECASE)
_HOURS = {"h": 1.0, "m": 1 / 60, "s": 1 / 3_600}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimit:
    """At most `amount` is spent: of the project's currency, or of CPU hours if it is `in_cpu_hours`."""

    amount: float
    in_cpu_hours: bool = False

    def __str__(self) -> str:
        return f"{self.amount:g}{' CPU-hours' if self.in_cpu_hours else ''}"


def parse_limit(said: object) -> SpendingLimit:
    """Read `5` (money) or `"2 CPU-hours"`, also minutes or seconds; ValueError for anything else."""
    if is_finite(said) and said >= 0:
        return SpendingLimit(amount=float(said))
    found = _CPU.fullmatch(said.strip()) if isinstance(said, str) else None
    if found is None:
        raise ValueError(
            f'{said!r} is not an amount: write money, such as 500, or CPU time, such as "2 CPU-hours"'
        )
    hours = float(found[1]) * _HOURS[found[2][0].lower()]
    if not is_finite(hours):
        raise ValueError(f"{said!r} is more than anybody can spend")
    return SpendingLimit(amount=hours, in_cpu_hours=True)
