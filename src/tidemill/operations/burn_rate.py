"""Burn rates: how many times faster than allowed the errors of an objective come, over two windows each.

At a burn rate of 1 the allowed errors last exactly for the objective's window. An alert needs both windows:
the long one so that there is enough evidence, the short one so that it ends soon after the errors do.

Source: Beyer et al., The Site Reliability Workbook, 2018, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.outcome_counts import HOUR, MINUTE
from tidemill.operations.problem import ProblemSeverity

# With fewer events in the long window, a share of them says too little.
LEAST_EVENTS = 1_000
# A rate is a quotient of floats.
_ROUNDED = 1 - 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnWindows:
    """A pair of windows in seconds, and the burn rate in both that is a problem."""

    rate: float
    long: float
    short: float
    severity: ProblemSeverity


BURN_WINDOWS = (
    BurnWindows(rate=14.4, long=HOUR, short=5 * MINUTE, severity=ProblemSeverity.PAGE),
    BurnWindows(rate=6, long=6 * HOUR, short=30 * MINUTE, severity=ProblemSeverity.PAGE),
    BurnWindows(rate=1, long=72 * HOUR, short=6 * HOUR, severity=ProblemSeverity.TICKET),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """The burn rates of a pair of windows; None without events. `events` counts those of the long one."""

    windows: BurnWindows
    long: float | None
    short: float | None
    events: float

    @property
    def exceeds(self) -> bool:
        """Whether both burn rates are a problem."""
        return all(
            rate is not None and rate >= self.windows.rate * _ROUNDED
            for rate in (self.long, self.short)
        )


def measure_burns(
    bad_of_all: Callable[[float], tuple[float, float]], allowed: float
) -> tuple[Burn, ...]:
    """The burn rates of all pairs of windows.

    `bad_of_all` gives the bad and all events of the last seconds, `allowed` is the share that may be bad.
    """
    found = []
    for windows in BURN_WINDOWS:
        bad, total = bad_of_all(windows.long)
        short_bad, short_total = bad_of_all(windows.short)
        found.append(
            Burn(
                windows=windows,
                long=bad / total / allowed if total else None,
                short=short_bad / short_total / allowed if short_total else None,
                events=total,
            )
        )
    return tuple(found)
