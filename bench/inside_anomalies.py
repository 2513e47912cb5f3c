"""Simulate stages that run daily, and count anomalies.

Call it as `inside_anomalies.py quiet|slow REGIME STAGES HISTORY`. A stage has a latency, CPU time, rows
and bytes that are halved on weekends and grow by 1 % a week, with noise in their logarithms that
resembles that of the day before, and now and then a run that takes 1.5 to 5 times as long. *Quiet*
stages are judged for 90 days after HISTORY days; *slow* ones take twice as long from day HISTORY on.
The simplest rule is counted beside: a latency that is over 4 scaled median absolute deviations above
the median of the last 28 runs. Prints a line of JSON.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidemill.ledger.run import Attempt, Outcome
from tidemill.operations.anomalies import find_anomalies
from tidemill.operations.run_series import RunMeasure, RunSeries

QUIET_DAYS, SLOW_RUNS = 90, 3
_START = datetime(2024, 1, 1, 6, tzinfo=UTC).timestamp()
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Regime:
    """The standard deviation of the noise, how far it resembles that of the day before, and slow runs."""

    noise: float
    resembles: float
    slow_runs: float


REGIMES = {
    "calm": Regime(0.05, 0.3, 0.005),
    "usual": Regime(0.10, 0.3, 0.005),
    "sticky": Regime(0.10, 0.5, 0.005),
    "outliers": Regime(0.10, 0.3, 0.02),
    "noisy": Regime(0.20, 0.3, 0.01),
}


def attempts(draw: random.Random, regime: Regime, slow_from: int) -> Iterator[Attempt]:
    """The runs of a stage, one for each day without end."""
    latency = math.exp(draw.uniform(math.log(2), math.log(600)))
    rows = math.exp(draw.uniform(6, 14))
    noises, day = [0.0, 0.0], 0
    while True:
        volume = (0.5 if day % 7 >= 5 else 1.0) * 1.01 ** (day / 7)
        for number, size in enumerate((regime.noise, regime.noise / 2)):
            fresh = math.sqrt(1 - regime.resembles**2) * draw.gauss(0, size)
            noises[number] = regime.resembles * noises[number] + fresh
        wall = latency * volume * math.exp(noises[0])
        if draw.random() < regime.slow_runs:
            wall *= math.exp(draw.uniform(math.log(1.5), math.log(5)))
        if day >= slow_from:
            wall *= 2
        made = int(rows * volume * math.exp(noises[1]))
        yield Attempt(
            stage="stage",
            partition=str(day),
            action="run",
            outcome=Outcome.OK,
            wall_s=wall,
            cpu_s=0.8 * wall * math.exp(draw.gauss(0, 0.03)),
            rows_out=made,
            bytes_out=40 * made,
            quarantined=int(0.002 * made * math.exp(draw.gauss(0, 0.5)) + draw.random()),
        )
        day += 1


class JudgedStage:
    """A stage after some days: what is unusual now, and whether the simplest rule alarms."""

    def __init__(self, draw: random.Random, regime: Regime, slow_from: int = sys.maxsize) -> None:
        self._attempts = attempts(draw, regime, slow_from)
        self._series = RunSeries()
        self._day = 0
        self._logs: list[float] = []
        self.unusual: set[RunMeasure] = set()
        self.is_simple_alarm = False

    def run(self) -> None:
        """Run once, and judge it."""
        attempt = next(self._attempts)
        self._series.add(str(self._day), attempt, _START + self._day * _DAY, "UTC")
        self._series.close("UTC")
        self._day += 1
        self.unusual = {found.measure for found in find_anomalies({"s": {"run": self._series}})}
        value, known = math.log(attempt.wall_s), self._logs[-28:]
        self._logs.append(value)
        middle = statistics.median(known) if known else value
        scale = 1.4826 * statistics.median(abs(one - middle) for one in known) if known else 0.0
        self.is_simple_alarm = len(known) >= 8 and value - middle > 4 * scale


def quiet(regime: Regime, stages: int, history: int) -> dict[str, Any]:
    """Count alerts in 90 days, by measure; an anomaly that goes on is one."""
    draw, alerts, simple = random.Random(11), 0, 0
    measures: dict[str, int] = {}
    for _ in range(stages):
        stage, was_unusual = JudgedStage(draw, regime), False
        for day in range(history + QUIET_DAYS):
            stage.run()
            if day >= history:
                simple += stage.is_simple_alarm
                if stage.unusual and not was_unusual:
                    alerts += 1
                    for measure in stage.unusual:
                        measures[measure] = measures.get(measure, 0) + 1
            was_unusual = bool(stage.unusual)
    return {"stages": stages, "alerts": alerts, "simple": simple, "measures": measures}


def slow(regime: Regime, stages: int, history: int) -> dict[str, Any]:
    """Count the stages whose latency is found unusual within three runs that take twice as long."""
    draw, found = random.Random(12), 0
    for _ in range(stages):
        stage = JudgedStage(draw, regime, history)
        for _ in range(history):
            stage.run()
        seen = False
        for _ in range(SLOW_RUNS):
            stage.run()
            seen = seen or RunMeasure.LATENCY in stage.unusual
        found += seen
    return {"stages": stages, "found": found}


if __name__ == "__main__":
    part, name, stages, history = sys.argv[1:]
    started = time.process_time()
    measured = {"quiet": quiet, "slow": slow}[part](REGIMES[name], int(stages), int(history))
    print(json.dumps({**measured, "cpu_s": time.process_time() - started}))
