"""What evidence stands between an artifact and its users.

A gate compares scores: the candidate's with the live model's and with a trivial baseline's, on the same
rows. A missing fact is a refusal, never a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The scores of the rows that share one value of the column that scores are split by."""

    value: str
    rows: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """How well one model did on one window: overall and by slice. Lower is better for errors."""

    rows: int
    metrics: dict[str, float]
    by: str = ""
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsLive:
    """The candidate's metric is at least as good as the live model's; passes when there is none."""

    metric: str
    by: float = 0.0
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"beats_live({self.metric})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsBaseline:
    """The candidate's metric is better than that of predicting the training median (or share)."""

    metric: str
    by: float = 0.0
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"beats_baseline({self.metric})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSliceWorse:
    """No slice's metric is worse than the live model's by more than the share `by`."""

    metric: str
    over: str
    by: float
    min_rows: int = 30
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"no_slice_worse({self.metric}, over={self.over})"


Gate: TypeAlias = BeatsLive | BeatsBaseline | NoSliceWorse


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What one gate said, with the figures that it saw."""

    gate: str
    passed: bool
    evidence: str


def beats_live(metric: str, *, by: float = 0.0, higher_is_better: bool = False) -> BeatsLive:
    """The candidate must be at least as good as the live model, or better by the share `by`."""
    return BeatsLive(metric=metric, by=by, higher_is_better=higher_is_better)


def beats_baseline(
    metric: str, *, by: float = 0.0, higher_is_better: bool = False
) -> BeatsBaseline:
    """The candidate must be better than predicting the training rows' median (or share of true)."""
    return BeatsBaseline(metric=metric, by=by, higher_is_better=higher_is_better)


def no_slice_worse(
    metric: str, *, over: str, by: float, min_rows: int = 30, higher_is_better: bool = False
) -> NoSliceWorse:
    """No value of column `over` with at least `min_rows` rows may be worse than live by more than `by`."""
    return NoSliceWorse(
        metric=metric, over=over, by=by, min_rows=min_rows, higher_is_better=higher_is_better
    )
