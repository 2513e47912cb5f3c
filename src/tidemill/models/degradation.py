"""Detect that a live model's metric is lastingly worse than at its approval.

The figures of the days since are summed to evidence that is valid whenever it is looked at (an e-detector):
within the tolerance, an alarm comes at most once a year on average. A share, such as an error rate, is
counted exactly, by binomial likelihood ratios. For any other metric, the figure of a day with n rows is
taken to be normal around its mean with a variance in proportion to 1/n, which is estimated from the days.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tidemill.contracts.profiles.e_detector import (
    EFFECTS,
    REFERENCE_ERRORS,
    Detector,
    Floats,
    Shares,
    share_evidence,
)
from tidemill.core.counts import plural
from tidemill.core.errors import did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.triggers import DayFigure, MetricHistory, Observation
from tidemill.workflow.gate import Goal
from tidemill.workflow.trigger import Degraded

# A share must be worse by at least one point: days differ by about as much for many reasons.
LEAST_SHARE = 0.01
# A metric that is worse by three tolerances should be seen in so many days.
CLEAR, QUICK = 3.0, 14
# Fewer days say nothing about how much they differ.
_LEAST_DAYS = 5
_WHOLE = 1e-6
# Of the squared differences of days, the largest seventh is left out: a step or an outlier. The mean of the
# others is so much smaller than that of all, for normal differences.
_TRIMMED, _TRIMMED_MEAN = 7, 0.5338
# How much the tolerance of a share is widened for the error of its value at approval, in standard errors.
# Found by simulation: less raises more false alarms than are allowed after an approval on 14 days.
_APPROVAL_ERRORS = 0.7
_MOST_DAYS = 365
_MOST_ROWS = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """How much evidence a day gives against a value that is higher the worse it is.

    `reference_rows` rows have the value `reference`. `variance` is that of one row's figure, None for a
    share, which has the variance `between` between the `reference_days` days of the reference.
    """

    reference: float
    reference_rows: float
    tolerance: float
    variance: float | None = None
    between: float = 0.0
    reference_days: float = 1.0

    def evidence(self, values: Floats, rows: Floats) -> Floats:
        """Return the logs of the e-values of each day, one for each effect size."""
        # Effects are in tolerances: half of it finds smaller ones, and the bound stays the same.
        half = self.tolerance / 2
        if self.variance is None:
            shares = Shares(
                count=values * rows, rows=rows, reference=min(self.reference + half, 1.0),
                reference_rows=self.reference_rows,
            ).tempered(self.between, self.reference_days)  # fmt: skip
            return share_evidence(shares, tolerance=half, sides="rise", errors=_APPROVAL_ERRORS)
        error = math.sqrt(self.variance / self.reference_rows)
        bound = self.reference + self.tolerance + REFERENCE_ERRORS * error
        spread = np.sqrt(self.variance / rows)[:, None]
        shift = np.array(EFFECTS) * half / spread
        return shift * ((values - bound)[:, None] / spread) - shift**2 / 2


def observe_degradation(trigger: Degraded, history: MetricHistory) -> Observation:
    """Sum the evidence that a metric is worse than at approval, over the days after `history.since`."""
    name, approved = trigger.metric, history.approved
    known = approved.metrics.get(name)
    if known is None:
        advice = did_you_mean(name, approved.metrics)
        return Observation(seen=f"the live model has no metric {name!r} ({advice})")
    if not math.isfinite(known):
        return Observation(seen=f"`{name}` was {known} at approval")
    days = _known_days(history)
    counted = [item for item in days if item.day > history.since]
    model = _model(trigger, history, days)
    if model is None:
        return Observation(
            seen=_seen(name, known, counted, ""),
            note=f"it needs {_LEAST_DAYS} days to know how much days differ, or tm.scores(..., day=...)",
        )
    detector = Detector.even(history.a_year, len(EFFECTS))
    evidence, alarm = 0.0, ""
    for item, evidence in _sums(detector, model, trigger, history, counted):
        if evidence >= detector.run_length:
            alarm = item.day
            break
    return Observation(
        seen=_seen(name, known, counted, alarm),
        threshold=f"{detector.run_length:g} ({model.tolerance:.3g} worse is tolerated)",
        evidence=evidence,
        limit=detector.run_length,
        note="" if alarm else _too_few(detector, model, known, _goal(trigger, history), days),
    )


def degradation_alarms(trigger: Degraded, history: MetricHistory) -> list[str]:
    """Return the days that raise an alarm; after each, evidence is summed from nothing."""
    days = _known_days(history)
    model = _model(trigger, history, days)
    if model is None:
        return []
    counted = [item for item in days if item.day > history.since]
    detector = Detector.even(history.a_year, len(EFFECTS))
    sums = _sums(detector, model, trigger, history, counted)
    return [item.day for item, evidence in sums if evidence >= detector.run_length]


def _known_days(history: MetricHistory) -> list[DayFigure]:
    return [item for item in history.figures if item.rows and math.isfinite(item.value)]


def _sums(
    detector: Detector,
    model: _Model,
    trigger: Degraded,
    history: MetricHistory,
    days: Sequence[DayFigure],
) -> Iterator[tuple[DayFigure, float]]:
    """Yield each day with the sum of evidence up to it, which starts again after an alarm."""
    values = np.array([_badness(trigger, history, item.value) for item in days])
    sums = detector.start()
    for day, one in zip(days, model.evidence(values, _rows(days)), strict=True):
        sums = detector.add(sums, one)
        level = detector.level(sums)
        yield day, level * detector.run_length
        if level >= 1:
            sums = detector.start()


def _seen(name: str, known: float, days: Sequence[DayFigure], alarm: str) -> str:
    if not days:
        return f"`{name}` was {known:.4g} at approval, and no labelled day came since"
    rows = sum(day.rows for day in days)
    now = math.fsum(day.value * day.rows for day in days) / rows
    seen = (
        f"`{name}` of the live model is {now:.4g} on average over {plural(len(days), 'labelled day')} "
        f"({plural(rows, 'row')}), {known:.4g} at approval"
    )
    return f"{seen}; alarm on {alarm}" if alarm else seen


def _model(trigger: Degraded, history: MetricHistory, days: Sequence[DayFigure]) -> _Model | None:
    """Choose how figures are compared; None if it isn't known how much days differ."""
    known, rows = history.approved.metrics[trigger.metric], max(history.approved.rows, 1)
    reference, tolerance = _badness(trigger, history, known), trigger.by * abs(known)
    approval = _approval_days(trigger.metric, history)
    # A fixed set of days: a worse day later mustn't make the others look less certain.
    first = approval if len(approval) >= _LEAST_DAYS else days[:QUICK]
    if all(map(_is_share, (DayFigure(day="", rows=rows, value=known), *approval, *days))):
        return _share_model(reference, rows, max(tolerance, LEAST_SHARE), first)
    if len(first) < _LEAST_DAYS or tolerance == 0:
        return None
    variance = _row_variance(first, bound=True)
    # Equal figures don't prove that no day will ever differ.
    least = (1e-3 * tolerance) ** 2
    return _Model(
        reference=reference,
        reference_rows=rows,
        tolerance=tolerance,
        variance=max(variance, least),
    )


def _share_model(
    reference: float, rows: int, tolerance: float, days: Sequence[DayFigure]
) -> _Model:
    """Compare shares, where days differ by more than their rows explain.

    How much is known from five days on, and one point until then.
    """
    between, size = LEAST_SHARE**2, float(np.median(_rows(days))) if days else float(rows)
    if len(days) >= _LEAST_DAYS:
        one_row = max(reference * (1 - reference), 1e-12)
        between = max(0.0, _row_variance(days, bound=False) - one_row) / size
    return _Model(
        reference=reference,
        reference_rows=rows,
        tolerance=tolerance,
        between=between,
        reference_days=max(1.0, rows / size),
    )


def _approval_days(metric: str, history: MetricHistory) -> list[DayFigure]:
    daily = history.approved.daily
    if daily is None or metric not in daily.metrics:
        return []
    found = zip(daily.days, daily.rows, daily.metrics[metric], strict=True)
    return [DayFigure(day=d, rows=n, value=v) for d, n, v in found if n and math.isfinite(v)]


def _is_share(figure: DayFigure) -> bool:
    """Whether a figure is a number of rows divided by all rows."""
    count = figure.value * figure.rows
    return 0 <= figure.value <= 1 and abs(count - round(count)) <= _WHOLE * max(1, figure.rows**0.5)


def _goal(trigger: Degraded, history: MetricHistory) -> Goal:
    own = history.approved.goals.get(trigger.metric, Goal.LOW)
    return Goal.HIGH if trigger.higher_is_better else own


def _badness(trigger: Degraded, history: MetricHistory, value: float) -> float:
    """The value of a metric as one that is higher the worse it is; of a share as another share."""
    goal = _goal(trigger, history)
    if goal is Goal.ZERO:
        return abs(value)
    if goal is Goal.LOW:
        return value
    return 1 - value


def _row_variance(days: Sequence[DayFigure], *, bound: bool) -> float:
    """Estimate the variance of one row's figure, from the differences of successive days.

    Their largest ones are left out, so that a step or a trend hardly changes it. An upper `bound` is two
    standard errors higher: too small a variance would raise false alarms.
    """
    values, rows = np.array([day.value for day in days]), _rows(days)
    squares = np.sort(np.diff(values) ** 2 / (1 / rows[1:] + 1 / rows[:-1]))
    usual = squares[: len(squares) - math.ceil(len(squares) / _TRIMMED)]
    found = float(usual.mean()) / _TRIMMED_MEAN
    return found * (1 + 2 * math.sqrt(5 / len(squares))) if bound else found


def _rows(days: Sequence[DayFigure]) -> Floats:
    return np.array([day.rows for day in days], np.float64)


def _too_few(
    detector: Detector, model: _Model, known: float, goal: Goal, days: Sequence[DayFigure]
) -> str:
    """Say that there are too few labels to see a clear degradation soon; "" if there are enough."""
    if not days:
        return ""
    rows = float(np.median(_rows(days)))
    delay = _delay(detector, model, rows, _MOST_DAYS)
    if delay is not None and delay <= QUICK:
        return ""
    sign = -1 if goal is Goal.HIGH else 1
    worse = known + sign * CLEAR * model.tolerance
    soon = f"after about {delay} days" if delay is not None else f"after over {_MOST_DAYS} days"
    enough = rows
    while enough < _MOST_ROWS and _delay(detector, model, enough, QUICK) is None:
        enough *= 1.1
    needed = f"about {enough:,.0f} would do for {QUICK} days"
    if enough >= _MOST_ROWS:
        needed = "more labels a day won't help, because days differ too much"
    return (
        f"not enough labels to be both quiet and quick: with {rows:,.0f} a day, {worse:.4g} instead of "
        f"{known:.4g} would be seen {soon}; {needed}"
    )


def _delay(detector: Detector, model: _Model, rows: float, most: int) -> int | None:
    """The days until the alarm if the metric is worse by three tolerances; None for more than `most`."""
    limit = 1.0 if model.variance is None else math.inf
    value = min(model.reference + CLEAR * model.tolerance, limit)
    return detector.delay(model.evidence(np.array([value]), np.array([rows]))[0], most)
