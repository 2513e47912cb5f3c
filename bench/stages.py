"""What a stage costs that does nothing: in a chain, and side by side."""

from __future__ import annotations

import re
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import projects
from bench.common import TIDEMILL, Row, Used, inside, measure

CALLS = ("fsync", "fdatasync")


def chain(work: Path, stages: int, times: int) -> list[Row]:
    """Rows of a chain of one-row stages."""
    project = projects.chain(work / "chain", stages)
    reports = [_fresh(project, stages) for _ in range(times)]
    commands = [_command(project) for _ in range(times)]
    again = tuple(measure((TIDEMILL, "run"), project).wall_s for _ in range(times))
    whole = statistics.median(each.wall_s for each in commands) / stages * 1000
    told = f"{whole:.2f} ms of the whole command, start and import of the module among them"
    return [
        _per("a chain of 100 stages, wall per stage", reports, "wall_s", stages, 2, told),
        _per("a chain of 100 stages, CPU per stage", reports, "cpu_s", stages),
        *_synced(project, stages),
        Row(
            name="a chain of 100 stages, nothing to do, whole process",
            value=statistics.median(again),
            unit="s",
            goal=0.25,
            runs=again,
        ),
    ]


def fan_out(work: Path, width: int, times: int) -> list[Row]:
    """Rows of a fan-out and join, in the two ways that it can be said.

    As partitions by value, an item is two steps (its rows are ingested, then transformed), as stages
    it is one; both are divided by the number of items, with the join and the planning among them.
    """
    by_value = projects.values(work / "values", width)
    by_stage = projects.wide(work / "wide", width)
    values = [_fresh(by_value, 2 * width + 1) for _ in range(times)]
    stages = [_fresh(by_stage, width + 2) for _ in range(times)]
    return [
        _per("200 partitions by value and their join, wall per item", values, "wall_s", width, 1.5,
             "an item is ingested and transformed: two steps"),
        _per("200 partitions by value and their join, CPU per item", values, "cpu_s", width),
        _per("200 stages side by side and their join, wall per item", stages, "wall_s", width, 1.5,
             "an item is one step"),
        _per("200 stages side by side and their join, CPU per item", stages, "cpu_s", width),
    ]  # fmt: skip


def _fresh(project: Path, steps: int) -> dict[str, Any]:
    found = inside(projects.forget(project), "run", project.name, "", "1")["runs"]
    assert isinstance(found, list)
    run: dict[str, Any] = found[0]
    if run["ran"] != steps:
        raise RuntimeError(f"{project.name} has {steps} steps, and {run['ran']} ran")
    return run


def _command(project: Path) -> Used:
    return measure((TIDEMILL, "run"), projects.forget(project))


def _per(
    name: str,
    reports: Sequence[dict[str, Any]],
    figure: str,
    count: int,
    goal: float | None = None,
    baseline: str = "",
) -> Row:
    runs = tuple(each[figure] / count * 1000 for each in reports)
    return Row(
        name=name,
        value=statistics.median(runs),
        unit="ms",
        goal=goal,
        baseline=baseline,
        runs=runs,
    )


def _synced(project: Path, stages: int) -> list[Row]:
    """How often a stage forces something to the disk: commits of the ledger, files and folders."""
    strace = shutil.which("strace")
    if strace is None:
        print("no strace here: what is forced to the disk is not counted")
        return []
    projects.forget(project)
    counts = project / "calls"
    trace = f"trace={','.join(CALLS)}"
    measure((strace, "-f", "-c", "-e", trace, "-o", counts, TIDEMILL, "run"), project)
    found = dict.fromkeys(CALLS, 0)
    for line in counts.read_text(encoding="utf-8").splitlines():
        row = re.fullmatch(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)", line)
        if row and row[2] in found:
            found[row[2]] = int(row[1])
    told = {
        "fsync": "objects and the folders that name them",
        "fdatasync": "commits of the ledger; what waits is committed together",
    }
    return [
        Row(
            name=f"a chain of 100 stages, {name} per stage",
            value=found[name] / stages,
            unit="calls",
            baseline=told[name],
        )
        for name in CALLS
    ]
