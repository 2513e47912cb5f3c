"""Detect that failures are more frequent than an objective allows, where there are too few for burn rates.

Each event is evidence against "at most the allowed share is bad": the likelihood ratio of a larger share,
whose expectation is at most 1 while that holds. Ratios are summed by Shiryaev and Roberts for several larger
shares, as `contracts/profiles/e_detector.py` does for rows of partitions: M becomes (M + 1) * min(E, cap).
So an alarm comes, in expectation, after at least RUN_LENGTH events while the objective is met.

Source: Shin, Ramdas, Rinaldo, E-detectors: a nonparametric framework for sequential change detection, 2022.
"""

from __future__ import annotations

import math
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass

RUN_LENGTH = 1_000.0
# How many times the allowed share the alternatives are, and the most that they are.
_FACTORS = (2.0, 5.0, 10.0, 50.0)
_MOST = 0.9
# The position of the alternative that tells when it began.
_TYPICAL = 1
_MOST_LEVEL = 1.25
# The events of one time must not be an alarm.
_LOG_CAP = math.log(RUN_LENGTH * len(_FACTORS)) / 2


@dataclass(slots=True, kw_only=True)
class FailureDetector:
    """The sums of evidence that more than the share `allowed` (above 0, below 1) of the events is bad.

    `since` is the most likely beginning of that: the first bad event after a cumulative sum of the evidence
    for one of the alternatives, `excess`, was zero last (Page).
    """

    allowed: float
    sums: list[float] = field(default_factory=lambda: [0.0] * len(_FACTORS))
    excess: float = 0.0
    since: float | None = None

    @property
    def level(self) -> float:
        """The evidence as a share of the threshold: 1 or more is an alarm."""
        return sum(self.sums) / len(self.sums) / RUN_LENGTH

    def add(self, at: float, *, good: int, bad: int) -> None:
        """Add the events of one time (Unix seconds), which are evidence together."""
        logs = [self._log_ratio(factor, good, bad) for factor in _FACTORS]
        self.sums = [
            (known + 1) * math.exp(min(log, _LOG_CAP))
            for known, log in zip(self.sums, logs, strict=True)
        ]
        if self.level > _MOST_LEVEL:
            # What is over the threshold says no more, and would keep an alarm long after the recovery.
            surplus = self.level / _MOST_LEVEL
            self.sums = [each / surplus for each in self.sums]
        self.excess = max(0.0, self.excess + logs[_TYPICAL])
        if not self.excess:
            self.since = None
        elif self.since is None:
            self.since = at

    def _log_ratio(self, factor: float, good: int, bad: int) -> float:
        share = self.allowed + min((factor - 1) * self.allowed, _MOST * (1 - self.allowed))
        return bad * math.log(share / self.allowed) + good * math.log(
            (1 - share) / (1 - self.allowed)
        )
