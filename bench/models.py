"""What models cost: `python -m bench.models`.

Scoring: a year of days, as many rows as the flights out of New York have, is delivered by a table, and
predicted at once by the same booster. Both take turns, each in a process of its own; what is imported before
doesn't count. `scoring.py` does the work.

Rollback: `tidemill rollback`, as a command of its own, on a project whose live model was replaced. Each time
it goes back, and `tidemill deliver` moves it forth again.

Damaged files: the first load of 400 damaged files of each format; `damaging.py` does the work.

Prints a table and writes it to `results/models.json`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.common import PYTHON, Row, Used, cpu, drive, inside, measure, wall

TIMES = 3
# Damaged files of each format.
DAMAGED = 400
# Boosting rounds; a prediction takes longer with more of them.
ROUNDS = 100


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "scoring": lambda: _scoring(work),
        "rollback": lambda: _rollback(work),
        "damaged": lambda: _damaged(work),
    }


def _scoring(work: Path) -> list[Row]:
    inside(work, "data", str(ROUNDS), script="scoring.py")
    by_table, alone, written, with_files = [], [], [], []
    for _ in range(TIMES):
        once = inside(work, "once", script="scoring.py")
        alone.append(once["cpu_s"])
        written.append(once["written_s"])
        with_files.append(once["with_files_s"])
        by_table.append(inside(work, "table", script="scoring.py")["cpu_s"])
    what = f"CPU of scoring a table of 365 days, 336,530 rows, {ROUNDS} rounds"
    return [
        _row(f"{what}, against one prediction", None, by_table, alone, "x"),
        _row(f"{what}, against one prediction that writes", 2, by_table, written, "x"),
        _row(
            f"{what}, against one prediction that reads and writes", None, by_table, with_files, "x"
        ),
        Row(
            name=f"{what}, for each day",
            value=1000 * (statistics.median(by_table) - statistics.median(alone)) / 365,
            unit="ms",
            baseline="without the prediction",
        ),
    ]


def _rollback(work: Path) -> list[Row]:
    program = [PYTHON, "-m", "tidemill"]
    measure([*program, "init", "bakery"], work)
    project = work / "bakery"
    measure([*program, "run"], project)
    flow = project / "bakery.py"
    flow.write_text(flow.read_text().replace('"rounds": 60', '"rounds": 80'))
    measure([*program, "run", "--train", "demand"], project)
    back: list[Used] = []
    for _ in range(TIMES):
        back.append(measure([*program, "rollback", "demand", "--reason", "bench"], project))
        measure([*program, "deliver", "demand", "newest"], project)
    what, alone = "rollback of a live model, a command from its start", "none"
    return [
        Row(name=f"{what}, wall", value=wall(back), unit="s", goal=1, baseline=alone,
            runs=tuple(each.wall_s for each in back)),
        Row(name=f"{what}, CPU", value=cpu(back), unit="s", goal=1, baseline=alone,
            runs=tuple(each.cpu_s for each in back)),
    ]  # fmt: skip


def _damaged(work: Path) -> list[Row]:
    rows = []
    for name, found in inside(work, str(DAMAGED), script="damaging.py").items():
        what = f"{found['files']:.0f} damaged files of {name}"
        said = f"{found['refused']:.0f} refused, {found['deaths']:.0f} ended the process that loads them"
        rows += [
            # A death of the process that asks leaves no report, one of its helper leaves files unanswered.
            Row(
                name=f"{what}: without an answer",
                value=found["lost"],
                unit="",
                goal=0,
                baseline=said,
            ),
            Row(name=f"{what}: wall time of a first load", value=found["ms"], unit="ms"),
        ]
    return rows


def _row(name: str, goal: float | None, found: list[float], base: list[float], unit: str) -> Row:
    runs = tuple(one / other for one, other in zip(found, base, strict=True))
    return Row(
        name=name, value=statistics.median(runs), unit=unit, goal=goal, runs=runs,
        baseline="lightgbm's Booster.predict in one thread",
    )  # fmt: skip


if __name__ == "__main__":
    drive("models", sys.argv[1:], parts_of)
