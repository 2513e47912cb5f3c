"""How much may be spent: an amount of money, or of CPU time where no price is set."""

from __future__ import annotations

import re
from math import isclose

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_finite

_CPU = re.compile(r"(\d+(?:\.\d+)?)\s*CPU-(hours?|minutes?|seconds?)", re.IGNORECASE)
# How much an hour is of units that are longer than a second, and of seconds.
CPU_UNITS = (("hours", 1.0), ("minutes", 60.0))
CPU_SECONDS = 3_600.0
_HOURS = {"h": 1.0, "m": 1 / 60, "s": 1 / 3_600}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimit:
    """At most `amount` is spent: of the project's currency, or of CPU hours if it is `in_cpu_hours`."""

    amount: float
    in_cpu_hours: bool = False

    def __str__(self) -> str:
        return self.text()

    def text(self, currency: str = "") -> str:
        """What may be spent, in the largest unit in which it has few digits: `5 EUR`, `5000 CPU-seconds`."""
        if not self.in_cpu_hours:
            return f"{_all_digits(self.amount)} {currency}".strip()
        for unit, size in CPU_UNITS:
            amount = round(self.amount * size, 2)
            if amount >= 1 and isclose(amount, self.amount * size, rel_tol=1e-9):
                return f"{_all_digits(amount)} CPU-{unit}"
        return f"{_all_digits(self.amount * CPU_SECONDS)} CPU-seconds"


def _all_digits(amount: float) -> str:
    return f"{amount:.12g}" if amount >= 1 else f"{amount:.12f}".rstrip("0").rstrip(".")


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
