"""Gates that a model must pass before it goes live.

A gate compares the candidate's scores with those of the live model, or of a trivial baseline, on the same
rows. Missing evidence fails a gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The scores of the rows with one value of the column that scores are split by."""

    value: str
    rows: int
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of one model on one window: overall and by slice."""

    rows: int
    metrics: dict[str, float]
    by: str = ""
    slices: tuple[Slice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsLive:
    """The candidate's metric is at least as good as the live model's; passes if no model is live."""

    metric: str
    by: float = 0.0
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"beats_live({self.metric})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsBaseline:
    """The candidate's metric is better than that of predicting the training median (or share of true)."""

    metric: str
    by: float = 0.0
    higher_is_better: bool = False

    def __str__(self) -> str:
        return f"beats_baseline({self.metric})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSliceWorse:
    """No slice's metric is worse than the live model's by more than the relative share `by`."""

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
    """The verdict of one gate, with the figures that it is based on."""

    gate: str
    passed: bool
    evidence: str


def beats_live(metric: str, *, by: float = 0.0, higher_is_better: bool = False) -> BeatsLive:
    """Require a metric at least as good as the live model's, or better by the relative share `by`.

    Passes when no model is live yet. Set `higher_is_better` for metrics such as accuracy.
    """
    return BeatsLive(metric=metric, by=by, higher_is_better=higher_is_better)


def beats_baseline(
    metric: str, *, by: float = 0.0, higher_is_better: bool = False
) -> BeatsBaseline:
    """Require a metric better than that of a constant: the label's training median (or share of true).

    With `by` it must be better by that relative share.
    """
    return BeatsBaseline(metric=metric, by=by, higher_is_better=higher_is_better)


def no_slice_worse(
    metric: str, *, over: str, by: float, min_rows: int = 30, higher_is_better: bool = False
) -> NoSliceWorse:
    """Require that no slice is worse than the live model's by more than the relative share `by`.

    A slice is the rows with one value of the column `over`, by which the scores must be split
    (`tm.scores(..., by="carrier")`); slices with fewer than `min_rows` rows don't count.
    """
    return NoSliceWorse(
        metric=metric, over=over, by=by, min_rows=min_rows, higher_is_better=higher_is_better
    )
