"""The scores of a version as pages show and draw them: figures with intervals, slices, days, curves."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.model_version import Evaluation
from tidemill.models.intervals import SHOWN_CONFIDENCE, metric_estimate
from tidemill.workflow.gate import Goal, Interval, Scores, Slice

_BEST = {Goal.LOW: "low", Goal.HIGH: "high", Goal.ZERO: "at zero"}
# Of so many slices, those with the most rows are shown.
_MOST_SLICES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFigure:
    """A metric with its interval over days, None where days can't tell; `best` is low, high or at zero."""

    name: str
    value: float
    best: str
    interval: Interval | None = None
    threshold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFigures:
    """The metrics of the rows with one value of the column that scores are split by."""

    value: str
    rows: int
    metrics: tuple[MetricFigure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCard:
    """The newest scores of a version by an evaluation, at a time by a run.

    `slices` are those of the values of the column `by` with the most rows, of `slice_count`. `daily` has the
    value of each metric on each of `days`; `curves` has the columns of each curve, such as "calibration".
    """

    evaluation: str
    run: str
    at: float
    rows: int
    metrics: tuple[MetricFigure, ...]
    by: str
    slices: tuple[SliceFigures, ...]
    slice_count: int
    days: tuple[str, ...]
    daily: Mapping[str, tuple[float, ...]]
    curves: Mapping[str, Mapping[str, tuple[float, ...]]]


def score_cards(evaluations: tuple[Evaluation, ...]) -> tuple[ScoreCard, ...]:
    """The newest scores by each evaluation."""
    newest = {found.stage: found for found in evaluations}
    return tuple(map(_score_card, newest.values()))


def _score_card(found: Evaluation) -> ScoreCard:
    scores = found.scores
    largest = sorted(scores.slices, key=lambda part: (-part.rows, part.value))[:_MOST_SLICES]
    daily = scores.daily
    return ScoreCard(
        evaluation=found.stage,
        run=found.run,
        at=found.at,
        rows=scores.rows,
        metrics=_figures(scores, None),
        by=scores.by,
        slices=tuple(
            SliceFigures(value=part.value, rows=part.rows, metrics=_figures(scores, part))
            for part in largest
        ),
        slice_count=len(scores.slices),
        days=daily.days if daily is not None else (),
        daily=daily.metrics if daily is not None else {},
        curves=scores.curves,
    )


def _figures(scores: Scores, part: Slice | None) -> tuple[MetricFigure, ...]:
    metrics = scores.metrics if part is None else part.metrics
    return tuple(
        MetricFigure(
            name=name,
            value=value,
            best=_BEST[scores.goals.get(name, Goal.LOW)],
            interval=_interval(scores, name, part),
            threshold=str(scores.thresholds.get(name, "")) if part is None else "",
        )
        for name, value in metrics.items()
    )


def _interval(scores: Scores, name: str, part: Slice | None) -> Interval | None:
    estimate = metric_estimate(scores, name, part)
    return (
        estimate.interval(SHOWN_CONFIDENCE) if estimate is not None and estimate.is_enough else None
    )
