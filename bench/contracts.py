"""Contracts on large tables: 10 million rows of 8 columns, as a ratio to reading them once.

`python -m bench.contracts [PART...]` prints a table and writes results/contracts.json. CPU seconds are
compared within one process; the floor is Polars' own streaming scan with one maximum per column.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.common import BENCH, PYTHON, Row, drive, inside, measure

ROWS = 10_000_000
SCRIPT = "inside_contracts.py"
DATAFRAMELY = "dataframely==3.1.2"


def written(work: Path, name: str, ids: str, *, bad: bool = False) -> Path:
    """A table of orders, written by a process of its own: this one has to stay small."""
    path = work / f"{name}.parquet"
    if not path.exists():
        measure([PYTHON, BENCH / "orders.py", path, str(ROWS), ids, *["bad"] * bad], work)
    return path


def ratio(
    work: Path,
    name: str,
    job: str,
    key: str,
    paths: Sequence[Path],
    goal: float | None,
    memory: float | None = None,
) -> list[Row]:
    """A job as a multiple of the floor beside it, and the memory that it took."""
    found = inside(work, job, key, *map(str, paths), script=SCRIPT)
    against = f"{found['job']:.2f} CPU s, floor {found['floor']:.2f}"
    rows = [
        Row(
            name=name,
            value=found["job"] / found["floor"],
            unit="x",
            goal=goal,
            baseline=against,
        )
    ]
    if memory is not None:
        rows.append(Row(name=f"{name}: peak RSS", value=found["rss"] / 1e6, unit="MB", goal=memory))
    return rows


def checks(work: Path) -> list[Row]:
    """Rules and keys on clean data and on data of which 1 % is bad."""
    clean, bad = written(work, "clean", "dense"), written(work, "bad", "dense", bad=True)
    sparse, text = written(work, "sparse", "sparse"), written(work, "text", "text")
    rows = ratio(work, "9 rules, clean", "check", "", [clean], 1.5)
    rows += ratio(work, "9 rules, 1 % bad", "check", "", [bad], 1.5)
    rows += ratio(work, "8 of the rules as a query by hand", "by hand", "", [clean], None)
    rows += ratio(work, "+ dense integer key, clean", "check", "id", [clean], 1.7, 600)
    rows += ratio(work, "+ dense integer key, 1 % bad", "check", "id", [bad], 1.7, 600)
    rows += ratio(work, "+ any integer key, clean", "check", "id", [sparse], 2.3, 600)
    rows += ratio(work, "+ text key, clean", "check", "id", [text], 3.0, 600)
    name = "check + quarantine of 1 % bad rows to disk, dense key"
    rows += ratio(work, name, "quarantine", "id", [bad], 3.5, 600)
    # One file ten times is as many rows as ten files.
    rows += ratio(work, "9 rules, 100 M rows", "check", "", [clean] * 10, 1.5, 1000)
    return rows


def plan_time(work: Path) -> list[Row]:
    """What `check` does for a stage of 100 columns, without data."""
    found = inside(work, "plan", script=SCRIPT)
    name = "100 columns: every fault of an ingest and a transform"
    return [Row(name=name, value=found["ms"], unit="ms", goal=10)]


def elsewhere(work: Path) -> list[Row]:
    """The same rules in dataframely, in an environment of its own; no rows if it can't be installed."""
    clean, bad = written(work, "clean", "dense"), written(work, "bad", "dense", bad=True)
    venv = work / "venv"
    python = venv / "bin" / "python"
    try:
        measure([PYTHON, "-m", "venv", venv], work)
        measure([python, "-m", "pip", "install", "--quiet", DATAFRAMELY], work)
    except RuntimeError as error:
        print(f"{DATAFRAMELY} can't be installed: {error}", file=sys.stderr)
        return []
    script = Path(__file__).with_name("inside_dataframely.py")
    rows = []
    for job, path in (("check", clean), ("check key", clean), ("quarantine key", bad)):
        done = subprocess.run(
            [python, script, job, path], capture_output=True, text=True, check=True
        )
        cpu, floor, rss = map(float, done.stdout.split())
        name = f"{DATAFRAMELY.replace('==', ' ')}: {job}"
        against = f"{cpu:.2f} CPU s, floor {floor:.2f}"
        rows.append(Row(name=name, value=cpu / floor, unit="x", baseline=against))
        rows.append(Row(name=f"{name}: peak RSS", value=rss / 1e6, unit="MB"))
    return rows


def parts(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """What can be measured by itself."""
    return {
        "checks": partial(checks, work),
        "plan": partial(plan_time, work),
        "elsewhere": partial(elsewhere, work),
    }


if __name__ == "__main__":
    drive("contracts", sys.argv[1:], parts)
