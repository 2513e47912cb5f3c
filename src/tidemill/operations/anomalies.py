"""List the stages whose last runs took or made something else than usual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from math import log

from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.run_series import MEASURES, RunFigures, RunMeasure, RunSeries

# The run at which the median of three became unusual, and those before it that may be unusual too.
_BEFORE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A measure of a stage that is unusual since the run at `since` (Unix seconds).

    `value` and `usual` are those of the last run, a median over its partitions, and `weekday_runs` on how
    many runs of the same weekday `usual` is based.
    """

    stage: str
    action: str
    measure: RunMeasure
    since: float
    value: float
    usual: float
    run: str
    runs: int
    weekday_runs: int


def find_anomalies(series: Mapping[str, Mapping[str, RunSeries]]) -> Iterator[Anomaly]:
    """What is unusual now, by stage and action."""
    for stage, by_action in series.items():
        for action, own in by_action.items():
            for number in range(len(MEASURES)):
                if own.runs and own.runs[-1].signs[number]:
                    yield _anomaly(stage, action, own.runs, number)


def _anomaly(stage: str, action: str, runs: list[RunFigures], number: int) -> Anomaly:
    newest = runs[-1]
    sign = newest.signs[number]
    streak = len([*takewhile(lambda run: run.signs[number] == sign, reversed(runs))])
    first = len(runs) - streak
    begun = next(
        at
        for at in range(max(0, first - _BEFORE), len(runs))
        if sign * runs[at].residuals[number] >= log(1.3)
    )
    return Anomaly(
        stage=stage,
        action=action,
        measure=MEASURES[number],
        since=runs[begun].at,
        value=newest.values[number],
        usual=newest.usual[number],
        run=newest.run,
        runs=len(runs) - begun,
        weekday_runs=newest.weekday_runs,
    )
