"""Measure rollouts: wrong rollbacks under constant peeking, and the time until a regression is found.

`python -m bench.rollouts` simulates 2,000 canaries in each case (6 minutes); see `rolling_out.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from bench.common import Row, drive
from bench.rolling_out import ALPHA, agrees, hours, whole_rollouts

SIMULATIONS = 2_000
OTHERS = {"z": "z-test", "flagger": "success < 99 % five times", "argo": "ratio > 1.5 three times"}


def parts_of(work: Path) -> dict[str, Callable[[], list[Row]]]:
    """What is measured."""
    return {"agreement": _agreement, "canaries": _canaries, "rollouts": _rollouts}


def _agreement() -> list[Row]:
    worst = max(agrees(rps, seed) for rps in (2, 50) for seed in range(3))
    return [
        Row(
            name="evidence simulated in arrays and by the server's own code, largest difference",
            value=worst,
            unit="",
            goal=1e-9,
        )
    ]


def _canaries() -> list[Row]:
    rows: list[Row] = []
    for rps in (50, 2):
        found = hours(rps, 1.0, SIMULATIONS, seed=rps)
        peers = ", ".join(f"{OTHERS[name]}: {found[name].share:.3g} %" for name in OTHERS)
        rows.append(
            Row(
                name=f"equal versions rolled back within an hour at {rps} requests/s",
                value=found["evidence"].share,
                unit="%",
                goal=100 * ALPHA,
                baseline=peers,
            )
        )
    goals = {(50, 5): 120.0}
    for rps, ratio in ((50, 5), (50, 2), (2, 5), (2, 2)):
        found = hours(rps, ratio, SIMULATIONS, seed=100 * rps + ratio)
        peers = ", ".join(f"{OTHERS[name]}: {found[name].median_s:.0f} s" for name in OTHERS)
        rows += [
            Row(
                name=f"{ratio} x the errors at {rps} requests/s, median time to rollback",
                value=found["evidence"].median_s,
                unit="s",
                goal=goals.get((rps, ratio)),
                baseline=peers,
            ),
            Row(
                name=f"{ratio} x the errors at {rps} requests/s, rolled back within an hour",
                value=found["evidence"].share,
                unit="%",
            ),
        ]
    return [_finite(row) for row in rows]


def _finite(row: Row) -> Row:
    """An hour where most rollouts didn't go back; JSON knows no infinity."""
    if row.value != float("inf"):
        return row
    return Row(name=f"{row.name} (more than an hour)", value=3600, unit=row.unit, goal=row.goal,
               baseline=row.baseline)  # fmt: skip


def _rollouts() -> list[Row]:
    back, completed = whole_rollouts(50, SIMULATIONS, seed=7)
    return [
        Row(
            name="whole rollouts (shadow, 5 %, 25 %) of equal versions that were rolled back",
            value=100 * back / SIMULATIONS,
            unit="%",
            goal=100 * ALPHA,
        ),
        Row(
            name="whole rollouts of equal versions that were completed",
            value=100 * completed / SIMULATIONS,
            unit="%",
            goal=95,
            least=True,
        ),
    ]


if __name__ == "__main__":
    drive("rollouts", sys.argv[1:], parts_of)
