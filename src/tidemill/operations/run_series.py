"""Judge what the last three runs of a stage took and made against the runs before them.

A run is compared by the median of its partitions, so that one of many is as good as a daily one. The
logarithm of each measure is compared with the median of the last 28 runs on the same weekday; with fewer than
4 such runs with the last 28 runs of all days, and with those few, whichever is nearer. Two of three runs
deviate by more than a limit if the median of their deviations does. The limit is 4.5 units of 1.4826 times
the median absolute value that this median had in earlier runs, so that it is what chance makes of two of
three runs, also where runs resemble those before them or data grow. It is at least a factor of 1.3. If single
runs were beyond it before, as on a machine that others use too, all three must be.

A change of code begins a new series. If 14 runs in a row are unusual, that has become usual. Runs of many
more partitions than usual share the machine otherwise, so they are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field
from enum import StrEnum
from statistics import median

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day, weekday
from tidemill.history.stage_performance import is_computation
from tidemill.ledger.run import Attempt, Outcome
from tidemill.operations.rolling_median import RollingMedian

BASELINE_RUNS = 28
LEAST_RUNS = 8
_LEAST_WEEKDAY_RUNS = 4
_MOST_SIGMAS, _LEAST_FACTOR = 4.5, 1.3
_SCALE = 1.4826
_JUDGED = 3
# With fewer medians of three, the scatter is that of single runs.
_LEAST_MEDIANS = 14
_LEAST_BAD_ROWS = 3
_NEW_LEVEL_RUNS = 14
_KEPT_RUNS = 2 * BASELINE_RUNS
_SCATTER_RUNS = 4 * BASELINE_RUNS
# The partitions of a run that its medians are of, and how many times the usual number make a backfill.
_KEPT_PARTITIONS = 1_000
_BACKFILL = 4


class RunMeasure(StrEnum):
    """What is measured of a partition in a run."""

    LATENCY = "latency"
    CPU = "CPU time"
    SPENDING = "spending"
    ROWS = "rows"
    BYTES = "bytes"
    QUARANTINE = "quarantine rate"


MEASURES = tuple(RunMeasure)
# What is added before the logarithm, so that a difference of less than a third of it never counts:
# seconds, a currency, rows, bytes, a share.
_OFFSETS = (0.5, 0.5, 0.01, 10.0, 1_000.0, 0.005)
# Less of these matters too.
_FALLING = (RunMeasure.ROWS, RunMeasure.BYTES)


@dataclass(slots=True, kw_only=True)
class RunFigures:
    """What the partitions of one run took and made; all lists are in the order of MEASURES.

    `usual` is what was expected, NaN if nothing was; `residuals` are the differences of the logarithms from
    it. `signs` say which measures are unusual in the last three runs: 1 for high, -1 for low, else 0.
    `weekday_runs` counts the runs on the same weekday that it was compared with.
    """

    at: float
    run: str
    weekday: int
    partitions: int
    values: list[float]
    signs: list[int] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)
    weekday_runs: int = 0


def _last_runs() -> RollingMedian:
    return RollingMedian(most=BASELINE_RUNS)


def _many_runs() -> RollingMedian:
    return RollingMedian(most=_SCATTER_RUNS)


@dataclass(slots=True, kw_only=True)
class MeasureHistory:
    """What is known of a measure: logarithms of all last runs and by weekday, and how they were missed.

    `raw` are the differences from the median of the weekday, `singles` the absolute residuals of single runs,
    and `medians` those of three runs.
    """

    weekdays: list[RollingMedian] = field(default_factory=lambda: [_last_runs() for _ in range(7)])
    every: RollingMedian = field(default_factory=_last_runs)
    raw: RollingMedian = field(default_factory=_last_runs)
    singles: RollingMedian = field(default_factory=_many_runs)
    medians: RollingMedian = field(default_factory=_many_runs)

    def add_value(self, value: float, weekday: int) -> None:
        """Add the logarithm of a run."""
        self.weekdays[weekday].add(value)
        self.every.add(value)

    def level(self, value: float, weekday: int) -> float:
        """The median of the weekday that a value is compared with; NaN if too few runs are known."""
        same = self.weekdays[weekday]
        if len(self.every) < LEAST_RUNS or not same:
            return math.nan
        if len(same) >= _LEAST_WEEKDAY_RUNS:
            return same.median()
        return _nearer(value, same.median(), self.every.median())

    def shift(self) -> float:
        """By how much recent runs were off the medians of their weekdays: data grow, machines age."""
        return self.raw.median() if len(self.raw) >= LEAST_RUNS else 0.0

    def limit(self, weekday: int) -> float | None:
        """How far the median of three runs may be from what is expected; None if too little is known."""
        if not self.singles:
            return None
        has_many = len(self.medians) >= _LEAST_MEDIANS
        scatter = (self.medians if has_many else self.singles).median()
        # Few runs don't tell the scatter and the level of a weekday well.
        count, same = max(len(self.medians), 1), max(len(self.weekdays[weekday]), 1)
        return _MOST_SIGMAS * _SCALE * scatter * (1 + (30 / count) ** 2) * math.sqrt(1 + 2 / same)


@dataclass(slots=True, kw_only=True)
class RunSeries:
    """The last runs of a stage with one action since its code changed last, oldest first.

    The attempts of the run `open_run` may not all be known yet: `open_values` are those of its partitions.
    `histories` are in the order of MEASURES.
    """

    runs: list[RunFigures] = field(default_factory=list)
    open_run: str = ""
    open_at: float = 0.0
    open_count: int = 0
    open_values: list[list[float]] = field(default_factory=list)
    histories: list[MeasureHistory] = field(
        default_factory=lambda: [MeasureHistory() for _ in MEASURES]
    )

    def add(self, run: str, attempt: Attempt, at: float, zone: str) -> None:
        """Add a comparable attempt; those of one run come one after the other."""
        if run != self.open_run:
            self.close(zone)
            self.open_run = run
        self.open_at, self.open_count = at, self.open_count + 1
        if len(self.open_values) < _KEPT_PARTITIONS:
            self.open_values.append(_values(attempt))

    def close(self, zone: str) -> None:
        """Judge the run whose attempts are all known now."""
        if not self.open_values:
            return
        found = RunFigures(
            at=self.open_at,
            run=self.open_run,
            weekday=weekday(local_day(self.open_at, zone)),
            partitions=self.open_count,
            values=[median(column) for column in zip(*self.open_values, strict=True)],
        )
        self.open_run, self.open_count, self.open_values = "", 0, []
        if not self._is_backfill(found):
            self._judge(found)
            self.runs.append(found)
            self._accept_new_levels()
            del self.runs[:-_KEPT_RUNS]

    def _is_backfill(self, found: RunFigures) -> bool:
        known = [run.partitions for run in self.runs[-BASELINE_RUNS:]]
        return len(known) >= LEAST_RUNS and found.partitions > _BACKFILL * median(known)

    def _judge(self, found: RunFigures) -> None:
        found.weekday_runs = len(self.histories[0].weekdays[found.weekday])
        for number, (measure, history) in enumerate(zip(MEASURES, self.histories, strict=True)):
            value = math.log(found.values[number] + _OFFSETS[number])
            raw = value - history.level(value, found.weekday)
            away = raw - history.shift()
            found.residuals.append(away)
            found.usual.append(_usual(value - away, number))
            last = [run.residuals[number] for run in (*self.runs[-_JUDGED + 1 :], found)]
            middle = median(last) if _are_known(last) else math.nan
            sign = self._sign(found, number, middle)
            found.signs.append(sign if sign > 0 or measure in _FALLING else 0)
            if not math.isnan(away):
                history.raw.add(raw)
                history.singles.add(abs(away))
            if not math.isnan(middle):
                history.medians.add(abs(middle))
            history.add_value(value, found.weekday)

    def _sign(self, found: RunFigures, number: int, middle: float) -> int:
        """In which direction the last three runs are unusual, whose median residual is given; 0: in none."""
        scale = self.histories[number].limit(found.weekday)
        if math.isnan(middle) or scale is None:
            return 0
        limit = max(scale, _chance(found, number), math.log(_LEAST_FACTOR))
        if abs(middle) <= limit:
            return 0
        sign = 1 if middle > 0 else -1
        *before, one, other = self.runs[-BASELINE_RUNS:]
        was_usual = not other.signs[number]
        if was_usual and any(abs(run.residuals[number]) > limit for run in before):
            least = min(sign * run.residuals[number] for run in (one, other, found))
            return sign if least > limit else 0
        return sign

    def _accept_new_levels(self) -> None:
        recent = self.runs[-_NEW_LEVEL_RUNS:]
        for number in range(len(MEASURES)):
            signs = {run.signs[number] for run in recent}
            if len(recent) == _NEW_LEVEL_RUNS and len(signs) == 1 and signs != {0}:
                self.histories[number] = MeasureHistory()
                for run in recent:
                    value = math.log(run.values[number] + _OFFSETS[number])
                    self.histories[number].add_value(value, run.weekday)
                    run.signs[number], run.residuals[number] = 0, math.nan


def is_comparable(attempt: Attempt) -> bool:
    """Whether an attempt computed a whole partition, so that it can be compared with others."""
    return is_computation(attempt) and attempt.outcome is Outcome.OK and not attempt.columns


def _values(attempt: Attempt) -> list[float]:
    written = attempt.rows_out + attempt.quarantined
    found = (
        attempt.wall_s,
        attempt.cpu_s,
        attempt.memo.spent if attempt.memo is not None else 0.0,
        attempt.rows_out,
        attempt.bytes_out,
        attempt.quarantined / written if written else 0.0,
    )
    return [float(value) if math.isfinite(value) and value > 0 else 0.0 for value in found]


def _usual(level: float, number: int) -> float:
    return level if math.isnan(level) else max(0.0, math.exp(level) - _OFFSETS[number])


def _chance(found: RunFigures, number: int) -> float:
    """How far chance alone takes a measure: few rows are bad by chance, their number is one of Poisson."""
    if MEASURES[number] is not RunMeasure.QUARANTINE:
        return 0.0
    rows = found.values[MEASURES.index(RunMeasure.ROWS)]
    return _MOST_SIGMAS / math.sqrt(found.usual[number] * rows + _LEAST_BAD_ROWS)


def _are_known(values: Sequence[float]) -> bool:
    return len(values) == _JUDGED and not any(map(math.isnan, values))


def _nearer(value: float, one: float, other: float) -> float:
    """Which of two levels is nearer to a value; the value itself if it is between them."""
    if (value - one) * (value - other) <= 0:
        return value
    return min(one, other, key=lambda level: abs(value - level))
