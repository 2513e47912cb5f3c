"""Many partitions of one file, and many new files, against their goals: `python -m bench.partitions`.

Prints a table and writes it to `results/partitions.json`. With names (`python -m bench.partitions value`)
only those parts are measured, and saved only with `--save`. CPU is that of the whole process tree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import projects
from bench.common import PYTHON, Row, drive, inside, measure
from bench.scenes import median_of

SCRIPT = "inside_partitions.py"
PARTITIONS, FILES = 10_000, 10_000

FLOW = """
import tidemill as tm


class Raw(tm.Contract, key=("name", "id")):
    name = tm.String(partition="value")
    id = tm.Int64(min=0)
    value = tm.Float64()


class Readings(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64()


by_value, by_day = tm.Workflow("value"), tm.Workflow("day")


@by_value.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/raw.parquet")


@by_day.ingest
def readings() -> tm.Source[Readings]:
    return tm.files("data/days/*.parquet")
"""


def laid(work: Path, flow: str, *arguments: str) -> Path:
    """A project of one ingest, with its data."""
    project = work / flow
    project.mkdir()
    (project / "flows.py").write_text(FLOW)
    (project / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "flows:{flow}"\n')
    inside(project, *arguments, script=SCRIPT)
    projects.age(project / "data")
    return project


def value(work: Path) -> list[Row]:
    """10,000 partitions by value from one file: the first build, and one changed row."""
    project = laid(work, "by_value", "values", str(PARTITIONS), "0")
    command = [PYTHON, "-m", "tidemill", "run"]
    first = measure(command, project)
    inside(project, "values", str(PARTITIONS), "1", script=SCRIPT)
    projects.age(project / "data")
    one = measure(command, project)
    still = measure(command, project)
    name = f"{PARTITIONS:,} partitions by value from one file"
    return [
        Row(
            name=f"{name}: first build, CPU a partition",
            value=first.cpu_s / PARTITIONS * 1000,
            unit="ms",
            goal=2,
            baseline=f"wall {first.wall_s:.1f} s, peak RSS {first.peak_rss / 1e6:.0f} MB",
        ),
        Row(
            name=f"{name}: one row changed, CPU of the whole run",
            value=one.cpu_s,
            unit="s",
            goal=2,
            baseline=f"wall {one.wall_s:.2f} s; nothing changed {still.cpu_s:.2f} s of CPU",
        ),
    ]


def look(work: Path) -> list[Row]:
    """A plan with 10,000 new files, looked at where a crash costs one file, and without that."""
    project = laid(work, "by_day", "days", str(FILES))
    rounds = [
        (inside(project, "plan", "safe", script=SCRIPT), inside(project, "plan", "", script=SCRIPT))
        for _ in range(3)
    ]
    safe, plain = (median_of([pair[n] for pair in rounds], "cpu_s") for n in (0, 1))
    return [
        Row(
            name=f"plan with {FILES:,} new files, each read first in another process",
            value=safe / plain,
            unit="x",
            goal=1.2,
            baseline=f"{safe:.2f} s of CPU, against counting their rows here: {plain:.2f} s",
            runs=tuple(pair[0]["cpu_s"] / pair[1]["cpu_s"] for pair in rounds),
        )
    ]


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {"value": lambda: value(work), "look": lambda: look(work)}


if __name__ == "__main__":
    drive("partitions", sys.argv[1:], parts_of)
