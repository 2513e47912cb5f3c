"""Gates that a model must pass before it goes live.

A gate compares the candidate's scores with those of the live model, or of a trivial baseline, on the same
rows. Missing evidence fails a gate.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from importlib import import_module
from typing import TypeAlias

from tidemill.contracts.profiles.record import Categories, Histogram
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_finite

# The columns of a curve, such as a calibration curve, by name; all have the same length.
Curve: TypeAlias = dict[str, tuple[float, ...]]
# The least and the greatest value that a metric can have; None where there is none.
Bounds: TypeAlias = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """The figures of each day, in order of `days`: intervals and paired comparisons need no rows.

    Rows of one day depend on each other, so that the days are the independent observations. `metrics` are
    those of each day alone, NaN where a day can't tell. The value of a metric without one day follows from
    them if it is a mean over rows, or the root of one (`roots`); `without` has it for the other metrics.
    """

    days: tuple[str, ...]
    rows: tuple[int, ...]
    metrics: dict[str, tuple[float, ...]]
    roots: tuple[str, ...] = ()
    without: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The scores of the rows with one value of the column that scores are split by."""

    value: str
    rows: int
    metrics: dict[str, float]
    daily: Daily | None = None


class Goal(StrEnum):
    """The best value of a metric: low, high, or zero (a bias)."""

    LOW = "low"
    HIGH = "high"
    ZERO = "zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The prediction from which a row counts as positive, and the days on which it was chosen.

    `score` is the value on these days of the `metric` that decided.
    """

    value: float
    days: tuple[str, ...]
    metric: str
    score: float

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        days = list(dict.fromkeys((self.days[0], self.days[-1]))) if self.days else []
        return (
            f"{self.value:.5g}, chosen by {self.metric} ({self.score:.5g} on {' to '.join(days)})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionProfile:
    """The distribution of the predictions of an evaluation: `rows` have one, `mean` is that of numbers."""

    rows: int
    mean: float = 0.0
    histogram: Histogram | None = None
    categories: Categories | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """The scores of one model on one window: overall and by slice.

    `daily` has the figures of each day, if the evaluation names the column of days. `goals` says which
    metrics are best high or at zero; low is best for all others. `bounds` are the least and the greatest
    value that a metric can have, where that is known, `thresholds` those that metrics judge, if they were
    chosen by `tm.threshold`. `predictions` profiles the column `prediction`, with which what is served later
    is compared; None without such a column, and in scores from before it was recorded.
    """

    rows: int
    metrics: dict[str, float]
    by: str = ""
    slices: tuple[Slice, ...] = ()
    daily: Daily | None = None
    goals: dict[str, Goal] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict, repr=False)
    thresholds: dict[str, Threshold] = field(default_factory=dict, repr=False)
    predictions: PredictionProfile | None = field(default=None, repr=False)

    def _repr_html_(self) -> str:
        """Render the figures and charts of them, for notebooks."""
        # Only notebooks need the charts.
        html: str = import_module("tidemill.workflow.score_charts").scores_html(self)
        return html


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with its confidence interval over `days` days, such as the difference of two models."""

    value: float
    low: float
    high: float
    confidence: float
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsLive:
    """The candidate's metric is at least as good as the live model's; passes if no model is live."""

    metric: str
    by: float = 0.0
    higher_is_better: bool = False
    confidence: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _require_numbers(self.by, self.confidence)

    def __str__(self) -> str:
        return f"beats_live({self.metric})"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsBaseline:
    """The candidate's metric is better than that of predicting the training median (or share of true)."""

    metric: str
    by: float = 0.0
    higher_is_better: bool = False
    confidence: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _require_numbers(self.by, self.confidence)

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
    confidence: float | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _require_numbers(self.by, self.confidence)

    def __str__(self) -> str:
        return f"no_slice_worse({self.metric}, over={self.over})"


def _require_numbers(by: float, confidence: float | None) -> None:
    """Raise for figures that no comparison with would ever refuse a model, such as NaN."""
    for name, figure in (("by", by), ("confidence", 0.95 if confidence is None else confidence)):
        if isinstance(figure, bool) or not isinstance(figure, int | float):
            raise TypeError(f"{name}={figure!r} is not a number, such as 0.1")
    if not is_finite(by):
        raise ValueError(f"by={by!r} must be finite, such as 0.1")
    if confidence is not None and not 0.5 <= confidence < 1:
        raise ValueError(f"confidence={confidence!r} must be from 0.5 to below 1, such as 0.95")


# The gates that compare scores; `gate_kinds` has all of them.
ScoreGate: TypeAlias = BeatsLive | BeatsBaseline | NoSliceWorse


class GateOutcome(StrEnum):
    """The outcome of a gate; only a passed gate lets a model go live."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "not enough data"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The verdict of one gate, with the figures that it is based on.

    `unknown` is True where there is too little data to tell. `difference` is that of the candidate and what
    it was compared with; None where there is no interval. A gate of the user may return one: `gate` is its
    name then, whatever it says.
    """

    gate: str = ""
    passed: bool
    evidence: str
    unknown: bool = False
    difference: Interval | None = None

    @property
    def outcome(self) -> GateOutcome:
        if self.passed:
            return GateOutcome.PASSED
        return GateOutcome.UNKNOWN if self.unknown else GateOutcome.FAILED

    @property
    def word(self) -> str:
        """The outcome in a word; what kept a model from going live stands out."""
        if self.passed:
            return "passed"
        return "UNDECIDED" if self.unknown else "FAILED"


def beats_live(
    metric: str,
    *,
    by: float = 0.0,
    higher_is_better: bool = False,
    confidence: float | None = None,
) -> BeatsLive:
    """Require a metric at least as good as the live model's, or better by the relative share `by`.

    Passes when no model is live yet. Metrics of `tm.metrics` know whether high is best; set
    `higher_is_better` for others. With several evaluations `metric` is `EVALUATION.METRIC`.

    By default the figures alone decide, and the evidence says whether the difference could be noise. With
    `confidence`, such as 0.95, the difference must be above zero over days with that confidence, for which
    the scores need `day=` and at least 14 days.
    """
    return BeatsLive(metric=metric, by=by, higher_is_better=higher_is_better, confidence=confidence)


def beats_baseline(
    metric: str,
    *,
    by: float = 0.0,
    higher_is_better: bool = False,
    confidence: float | None = None,
) -> BeatsBaseline:
    """Require a metric better than that of a constant: the label's training median (or share of true).

    With `by` it must be better by that relative share. `metric`, `higher_is_better` and `confidence` are as
    for `beats_live`.
    """
    return BeatsBaseline(
        metric=metric, by=by, higher_is_better=higher_is_better, confidence=confidence
    )


def no_slice_worse(
    metric: str,
    *,
    over: str,
    by: float,
    min_rows: int = 30,
    higher_is_better: bool = False,
    confidence: float | None = None,
) -> NoSliceWorse:
    """Require that no slice is worse than the live model's by more than the relative share `by`.

    A slice is the rows with one value of the column `over`, by which the scores must be split
    (`tm.scores(..., by="carrier")`); slices with fewer than `min_rows` rows don't count. `metric` and
    `higher_is_better` are as for `beats_live`.

    With `confidence`, such as 0.95, only slices count that are worse beyond noise: among many slices some
    are worse by chance, so that Holm's correction keeps the chance of any false alarm at 5 %. Slices of
    fewer than 14 days can't tell, and if all are such, the gate doesn't pass.
    """
    return NoSliceWorse(
        metric=metric,
        over=over,
        by=by,
        min_rows=min_rows,
        higher_is_better=higher_is_better,
        confidence=confidence,
    )


def split_metric(name: str) -> tuple[str, str]:
    """Split `EVALUATION.METRIC`; the evaluation is empty in a plain name."""
    evaluation, _, metric = name.rpartition(".")
    return evaluation, metric
