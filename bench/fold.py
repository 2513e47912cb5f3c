"""Folds against computing all rows anew: `python -m bench.fold`.

A thousand days of 10,000 rows, of which one changes: what the steps take that are handed folds of all of
them, beside the same aggregates by one query over all rows. `folding.py` does it in a process of its own.

Prints a table and writes it to `results/fold.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.common import Row, drive, inside

DAYS, ROWS, TIMES = 1_000, 10_000, 5
PAIRS = {
    "folded": ("grouped", "count, sum, max, mean", 0.1),
    "sketched": ("exact", "distinct, quantile", 0.2),
}


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {"changed": lambda: _changed(work)}


def _changed(work: Path) -> list[Row]:
    folder = work / "fold"
    folder.mkdir()
    found = inside(folder, str(DAYS), str(ROWS), str(TIMES), script="folding.py")
    size = f"fold of {DAYS:,} days x {ROWS:,} rows"
    rows = [
        Row(
            name=f"{size}, one changed, rows of which partials are computed",
            value=statistics.median(run["rows"] for run in found["later"]),
            unit="",
            goal=ROWS,
            baseline=f"{DAYS * ROWS:,} rows in all",
            runs=tuple(run["rows"] for run in found["later"]),
        )
    ]
    for name, (plain, what, goal) in PAIRS.items():
        anew = _median(found["later"], plain)
        rows += [
            Row(
                name=f"{size} ({what}), one changed, CPU of the step against all rows",
                value=_median(found["later"], name) / anew,
                unit="x",
                goal=goal,
                baseline=f"{anew:.2f} s for all rows by one query",
                runs=tuple(run["stages"][name] / anew for run in found["later"]),
            ),
            Row(
                name="the same, the first time",
                value=found["first"]["stages"][name] / found["first"]["stages"][plain],
                unit="x",
            ),
        ]
    return [
        *rows,
        Row(
            name=f"{size}, sums, difference from one query",
            value=found["apart"] * 1e12,
            unit="e-12",
            goal=1_000,
        ),
        Row(name=f"{size}, what is kept of both", value=found["bytes"] / 1e6, unit="MB"),
    ]


def _median(runs: list[dict[str, Any]], stage: str) -> float:
    return float(statistics.median(run["stages"][stage] for run in runs))


if __name__ == "__main__":
    drive("fold", sys.argv[1:], parts_of)
