"""What the requests to two versions of a model did: counts that a server collects between two looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from itertools import zip_longest
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass

Output: TypeAlias = float | int | str | bool | None

# Beyond rounding: results of the same model in another library differ by less.
_RELATIVE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Requests that one version answered.

    `errors` are requests that the version failed, not those that the caller made wrongly. `outside` are
    answers with a prediction outside of the declared bounds, or that isn't a number. `latency` counts
    computed answers by the buckets of `serving/buckets.py`; answers from a cache don't belong here, because
    a new version's cache is empty. `outputs` are predictions, at most one of a request: the rows of
    a request are too much alike to be evidence each.
    """

    requests: int = 0
    errors: int = 0
    outside: int = 0
    latency: tuple[int, ...] = ()
    outputs: tuple[Output, ...] = ()

    def __add__(self, other: Arm) -> Arm:
        return Arm(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            outside=self.outside + other.outside,
            latency=add_counts(self.latency, other.latency),
            outputs=self.outputs + other.outputs,
        )

    @property
    def error_share(self) -> float:
        """The share of requests that failed; 0 without requests."""
        return self.errors / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputComparison:
    """The differences between two versions that answered the same requests.

    Of `pairs` predictions `changed` differ by more than rounding, and numbers by at most `largest`.
    """

    pairs: int = 0
    changed: int = 0
    largest: float = 0.0

    def __add__(self, other: OutputComparison) -> OutputComparison:
        return OutputComparison(
            pairs=self.pairs + other.pairs,
            changed=self.changed + other.changed,
            largest=max(self.largest, other.largest),
        )

    @property
    def changed_share(self) -> float:
        """The share of predictions that differ; 0 without any."""
        return self.changed / self.pairs if self.pairs else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What happened since the last look. In the shadow phase both arms have the same requests."""

    candidate: Arm = field(default_factory=Arm)
    control: Arm = field(default_factory=Arm)
    comparison: OutputComparison = field(default_factory=OutputComparison)

    def __add__(self, other: Observed) -> Observed:
        return Observed(
            candidate=self.candidate + other.candidate,
            control=self.control + other.control,
            comparison=self.comparison + other.comparison,
        )


def add_counts(one: Sequence[int], other: Sequence[int]) -> tuple[int, ...]:
    """Add two histograms with the same buckets; empty ones at the end may be missing."""
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0))


def compare_outputs(control: Sequence[Output], candidate: Sequence[Output]) -> OutputComparison:
    """Compare the predictions of two versions for the same rows; ValueError for different numbers of them."""
    found = [_difference(one, two) for one, two in zip(control, candidate, strict=True)]
    return OutputComparison(
        pairs=len(found),
        changed=sum(changed for changed, _ in found),
        largest=max((size for _, size in found), default=0.0),
    )


def _difference(one: Output, two: Output) -> tuple[bool, float]:
    if not (isinstance(one, float) and isinstance(two, float)):
        return one != two, 0.0
    if math.isnan(one) or math.isnan(two):
        return math.isnan(one) != math.isnan(two), 0.0
    if one == two:
        return False, 0.0
    size = abs(one - two)
    return math.isinf(size) or size > _RELATIVE * max(1.0, abs(one)), size
