"""Drift alarms against their goals: `python -m bench.alarms`.

Tables of 20 columns are simulated for 30 + 90 days and judged as stored profiles are. *Benign* days have no
drift: the mean of each column is off by 0.03 standard deviations at random, and by a weekly wave of 0.03
more. A *step* moves the mean of 2 columns by 0.25. The labels of a classifier have an error rate of 10 %,
with a standard deviation of one point between days, and later of 13 %. The cost is measured on 30 + 30
partitions of 33,333 rows. `alarming.py` does the work in processes of its own.

Prints a table and writes it to `results/alarms.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.common import Row, drive, inside

SIZES = (1_000, 10_000, 100_000)
APPROVALS = (14, 30, 60)
TIMES = 1
_USUAL = {
    1_000: "KS p<.05: 233 column alarms, false discovery rate .05: 50, PSI>.2: 0",
    10_000: "",
    100_000: "KS p<.05: 1,504 column alarms, false discovery rate .05: 1,494, PSI>.2: 0",
}


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "benign": lambda: _benign(work),
        "step": lambda: _step(work),
        "labels": lambda: _labels(work),
        "cost": lambda: _cost(work),
    }


def _benign(work: Path) -> list[Row]:
    found = {rows: inside(work, "benign", str(rows), "200", script="alarming.py") for rows in SIZES}
    return [
        Row(
            name=f"false drift alarms in 90 benign days, {rows:,} rows a day",
            value=each["alarms"] / each["tables"],
            unit="alarms",
            goal=0.05,
            baseline=_USUAL[rows],
        )
        for rows, each in found.items()
    ]


def _step(work: Path) -> list[Row]:
    found = {rows: inside(work, "step", str(rows), "300", script="alarming.py") for rows in SIZES}
    return [
        Row(
            name=f"steps of 0.25 sd seen within 3 partitions, {rows:,} rows a day",
            value=100 * each["seen"] / each["tables"],
            unit="%",
            goal=99,
            baseline="PSI>.2: 0 %",
            least=True,
        )
        for rows, each in found.items()
    ]


def _labels(work: Path) -> list[Row]:
    found = {
        days: inside(work, "labels", "1000", str(days), "1000", script="alarming.py")
        for days in APPROVALS
    }
    quiet = [
        Row(
            name=f"false alarms a year on 1,000 delayed labels a day, approved on {days} days",
            value=each["alarms"] / each["models"],
            unit="alarms",
            goal=0.05,
            baseline="7 days above 1.1 times the usual error: 4.8; a day above 3 sd: 7.9",
        )
        for days, each in found.items()
    ]
    seen = [
        Row(
            name=f"error rates of 13 instead of 10 % found in 14 days, approved on {days} days",
            value=100 * each["seen"] / each["models"],
            unit="%",
            goal=98,
            baseline="7 days above 1.1 times the usual error: 100 %",
            least=True,
        )
        for days, each in found.items()
    ]
    return [*quiet, *seen]


def _cost(work: Path) -> list[Row]:
    reports = [inside(work, "cost", script="alarming.py") for _ in range(TIMES)]

    def row(name: str, unit: str, goal: float | None, key: str, baseline: str = "") -> Row:
        runs = tuple(float(each[key]) for each in reports)
        value = statistics.median(runs)
        return Row(name=name, value=value, unit=unit, goal=goal, baseline=baseline, runs=runs)

    usual = "Evidently 50 to 100 s, NannyML 23 s"
    return [
        row("drift report of 1 M + 1 M rows x 20 columns, profiles included, CPU", "s", 3, "whole_s", usual),
        row("the same from stored profiles, CPU", "ms", None, "stored_ms"),
        row("a new day of 33,333 rows against 30 stored ones, CPU", "ms", 150, "day_ms"),
        row("365 stored days of 20 columns from the first on, CPU", "ms", None, "year_ms"),
    ]  # fmt: skip


if __name__ == "__main__":
    drive("alarms", sys.argv[1:], parts_of)
