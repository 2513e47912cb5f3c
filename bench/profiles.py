"""Profiles against their goals: `python -m bench.profiles`.

A million rows of 20 columns are profiled as a step does it: numbers of several shapes, some with nulls,
NaN and heavy tails, times, categories, texts of which each is another, and flags. A second million is
drawn from shifted distributions, and the distances that the two profiles give are held against those
of the rows, computed exactly with NumPy. `profiling.py` does the work in processes of its own.

Prints a table and writes it to `results/profiles.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.common import Row, drive, inside

ROWS = 1_000_000
TIMES = 5


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "compute": lambda: _compute(work),
        "distance": lambda: _distance(work),
        "merge": lambda: _merge(work),
        "step": lambda: _step(work),
    }


def _reports(work: Path, *arguments: str) -> list[dict[str, Any]]:
    return [inside(work, *arguments, script="profiling.py") for _ in range(TIMES)]


def _compute(work: Path) -> list[Row]:
    found = _reports(work, "compute", str(ROWS))
    exact = statistics.median(each["exact_cpu_s"] for each in found)
    return [
        Row(
            name=f"profile of {ROWS:,} rows x {found[0]['columns']} columns, CPU",
            value=statistics.median(each["cpu_s"] for each in found),
            unit="s",
            goal=2.5,
            baseline=f"{exact:.2f} s for counts, extremes, moments, numbers of different values and "
            "deciles by Polars, which can't be merged; elsewhere 23 to 100 s",
            runs=tuple(each["cpu_s"] for each in found),
        ),
        Row(
            name="the same profile as it is stored",
            value=found[0]["bytes"] / 1e3,
            unit="kB",
            goal=40,
            baseline=f"{found[0]['object_bytes'] / 1e6:.0f} MB are the rows",
        ),
        Row(
            name="numbers of different values, greatest error",
            value=100 * found[0]["distinct_error"],
            unit="%",
            baseline="the standard error of each is 4.6 %",
        ),
    ]


def _distance(work: Path) -> list[Row]:
    found = inside(work, "distance", str(ROWS), script="profiling.py")
    return [
        Row(
            name="KS statistic, greatest error over all numeric columns",
            value=found["ks_error"],
            unit="",
            goal=0.0005,
            baseline=f"{found['ks_column']}; of rows compared exactly",
        ),
        Row(
            name="Wasserstein distance, greatest error where a column moved",
            value=100 * found["wasserstein_error"],
            unit="%",
            baseline=f"{found['wasserstein_column']}; of rows compared exactly",
        ),
        Row(
            name="comparing two profiles, CPU",
            value=found["compare_cpu_s"] * 1e3,
            unit="ms",
            baseline=f"{found['exact_cpu_s']:.2f} s for KS and Wasserstein of the rows by NumPy",
        ),
    ]


def _merge(work: Path) -> list[Row]:
    found = _reports(work, "merge", "365", "10000")
    return [
        Row(
            name="reading and merging 365 profiles of 20 columns, CPU",
            value=statistics.median(each["cpu_s"] for each in found),
            unit="s",
            runs=tuple(each["cpu_s"] for each in found),
        ),
    ]


def _step(work: Path) -> list[Row]:
    """What storing a profile adds to hashing and writing the rows, the least that a step does."""
    rows = []
    for height in (1_000, 10_000, 100_000):
        found = _reports(work, "step", str(height))
        share = statistics.median(each["profile_cpu_s"] / each["store_cpu_s"] for each in found)
        made = statistics.median(each["profile_cpu_s"] for each in found)
        rows.append(
            Row(
                name=f"profile of {height:,} rows x 20 columns, CPU",
                value=made * 1e3,
                unit="ms",
                baseline=f"{100 * share:.0f} % of hashing and writing them"
                + ("; not stored, made when asked for" if height < found[0]["small"] else ""),
            )
        )
    return rows


if __name__ == "__main__":
    drive("profiles", sys.argv[1:], parts_of)
