"""What it costs to watch what code opens while it runs: `python -m bench.watching`.

The watch is Python's audit hook, in the process of a step whose query may contain Python functions, and of
trainings and evaluations. It is compared in turns with the same work unwatched. Prints a table and writes
it to `results/watching.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.common import Row, drive, inside


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    return {"all": lambda: _watched(work)}


def _watched(work: Path) -> list[Row]:
    found = inside(work, script="inside_watching.py")
    query = found["query"]
    spent = [1e3 * query[each] / found["queries"] for each in ("plain", "watched")]
    rows = [
        Row(
            name="queries with a Python function, watched",
            value=query["watched"] / query["plain"],
            unit="x",
            goal=1.05,
            baseline=f"{spent[1]:.3f} against {spent[0]:.3f} CPU ms a query of 10,000 rows",
        )
    ]
    for key, what in (("own", "a file of the project"), ("installed", "an installed file")):
        plain, watched = (1e6 * found[key][each] / found["opened"] for each in ("plain", "watched"))
        rows.append(
            Row(
                name=f"opening {what} while it is watched, more CPU",
                value=watched - plain,
                unit="us",
                baseline=f"{watched:.1f} against {plain:.1f} us",
            )
        )
    return rows


if __name__ == "__main__":
    drive("watching", sys.argv[1:], parts_of)
