"""What verifying stored objects costs: `python -m bench.verification`.

A project of days with 20 columns is built, and a year of it is read, in processes of their own: with
verification, and with a Tidemill that neither writes nor checks checksums. Both take turns.
`verifying.py` does the work.

Prints a table and writes it to `results/verification.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.common import Row, drive, inside

TIMES = 3
DAYS = {900: 365, 5_000: 60}
# Rows of a day: objects that are verified as a whole, and ones with a checksum per column.
SMALL, LARGE = 900, 5_000


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {"build": lambda: _build(work), "read": lambda: _read(work)}


def _build(work: Path) -> list[Row]:
    rows = []
    for height in (SMALL, LARGE):
        inside(work, "data", str(height), "40", script="verifying.py")
        rows.append(
            _row(f"verification of a build, 40 days of {height:,} rows x 20 columns, 3 stages", 5,
                 _turns(work, "build", str(height)), "cpu_s")
        )  # fmt: skip
    return rows


def _read(work: Path) -> list[Row]:
    rows = []
    for height in (SMALL, LARGE):
        inside(work, "data", str(height), str(DAYS[height]), script="verifying.py")
        inside(work, "publish", str(height), script="verifying.py")
        found = _turns(work, "read", str(height))
        for key, what in (
            ("all", "all columns"),
            ("one", "one column of 20"),
            ("step", "a step that reads one column"),
        ):
            rows.append(
                _row(
                    f"verification of reading {DAYS[height]} days of {height:,} rows, {what}",
                    10,
                    found,
                    key,
                )
            )
    return rows


def _turns(work: Path, *what: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    def once(how: str) -> dict[str, Any]:
        return inside(work, *what, how, script="verifying.py")

    return [(once("verified"), once("plain")) for _ in range(TIMES)]


def _row(
    name: str, goal: float, found: list[tuple[dict[str, Any], dict[str, Any]]], key: str
) -> Row:
    """The share that verification adds: the least of each, because all else only adds to them."""
    verified, plain = (min(pair[side][key] for pair in found) for side in (0, 1))
    medians = [statistics.median(pair[side][key] for pair in found) for side in (0, 1)]
    return Row(
        name=f"{name}, CPU",
        value=100 * (verified / plain - 1),
        unit="%",
        goal=goal,
        baseline=f"{1e3 * verified:.0f} against {1e3 * plain:.0f} ms; medians "
        f"{1e3 * medians[0]:.0f} and {1e3 * medians[1]:.0f} ms",
        runs=tuple(100 * (one[key] / other[key] - 1) for one, other in found),
    )


if __name__ == "__main__":
    drive("verification", sys.argv[1:], parts_of)
