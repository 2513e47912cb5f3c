"""What planning and committing cost when the state is large."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

from bench import projects
from bench.common import Row, inside
from bench.scenes import median_of

SCRIPT = "inside_scale.py"
COLUMNS = 12
SAMPLE = 200


class States:
    """Projects whose state was made up, and what planning them took."""

    def __init__(self, work: Path) -> None:
        self._work = work
        # CPU seconds of a plan without change, by partitions x stages.
        self._plans: dict[tuple[int, int], float] = {}

    def plans(self, partitions: int, stages: int, *, judged: bool) -> list[Row]:
        """Rows of planning when nothing changed, and when one partition did."""
        project = self._laid(f"plan-{partitions}", partitions, stages)
        inside(project, "build", script=SCRIPT)
        still = _planned(project, 0)
        acts = inside(project, "branch", "3", script=SCRIPT) if judged else {}
        inside(project, "change", script=SCRIPT)
        changed = _planned(project, stages)
        shutil.rmtree(project)
        self._plans[partitions, stages] = median_of(still["runs"][:1], "cpu_s")
        size = f"{partitions:,} partitions x {stages} stages x {COLUMNS} columns"
        peak = max(still["peak_rss"], changed["peak_rss"]) / 1e6
        return [
            *_branches(size, acts),
            _plan(f"open + plan, {size}, nothing changed", still, 0.1 if judged else None),
            _plan(f"open + plan, {size}, one changed", changed, 0.5 if judged else None),
            Row(
                name=f"open + plan, {size}, peak RSS",
                value=peak,
                unit="MB",
                goal=600 if judged else None,
            ),
        ]

    def linear(self, small: tuple[int, int], large: tuple[int, int]) -> list[Row]:
        """A row of how planning grows from one size to the other, which are measured if they weren't yet."""
        for size in (small, large):
            if size not in self._plans:
                self.plans(*size, judged=False)
        steps = large[0] * large[1] / (small[0] * small[1])
        names = [f"{partitions:,} x {stages}" for partitions, stages in (small, large)]
        return [
            Row(
                name="open + plan, nothing changed, growth of the CPU per step",
                value=self._plans[large] / self._plans[small] / steps,
                unit="x",
                goal=1.2,
                baseline=f"{names[1]} against {names[0]}; 1 is linear",
            )
        ]

    def commits(self, count: int) -> list[Row]:
        """Rows of publishing partitions one by one, and of opening and planning then."""
        project = self._laid("commits", count, 1)
        found = inside(project, "commit", str(SAMPLE), script=SCRIPT)
        planned = _planned(project, 0)
        shutil.rmtree(project)
        first, last = found["first"], found["last"]
        first_plan, *later = planned["runs"]
        return [
            Row(
                name=f"a commit of one partition after {found['commits']:,} commits, wall",
                value=last["wall_ms"],
                unit="ms",
                goal=5,
                baseline=f"{first['wall_ms']:.2f} at the beginning; CPU {last['cpu_ms']:.2f}; "
                "elsewhere 37 to 635",
            ),
            Row(
                name=f"open + plan after {found['commits']:,} commits, wall",
                value=first_plan["wall_s"] * 1000,
                unit="ms",
                goal=20,
                baseline=f"CPU {first_plan['cpu_s'] * 1000:.1f}; "
                f"later in the process wall {median_of(later, 'wall_s') * 1000:.1f}",
            ),
        ]

    def _laid(self, name: str, partitions: int, stages: int) -> Path:
        project = projects.scaled(self._work / name, stages, COLUMNS)
        inside(project, "lay", str(partitions), script=SCRIPT)
        projects.age(project / "data")
        return project


def _branches(size: str, acts: dict[str, list[float]]) -> list[Row]:
    """Rows of what environments cost that hold what production holds."""
    told = {
        "branch": ("branch off production", 50.0),
        "plan": ("open + plan in a branch", None),
        "diff": ("compare a branch that is the same", None),
        "promote": ("promote with nothing to run", 500.0),
        "drop": ("drop a branch", None),
    }
    return [
        Row(
            name=f"{told[act][0]}, {size}, wall",
            value=statistics.median(runs) * 1000,
            unit="ms",
            goal=told[act][1],
            runs=tuple(run * 1000 for run in runs),
        )
        for act, runs in acts.items()
    ]


def _planned(project: Path, steps: int) -> dict[str, Any]:
    found = inside(project, "plan", "2", script=SCRIPT)
    for run in found["runs"]:
        if run["steps"] != steps:
            raise RuntimeError(f"{run['steps']} steps are planned, not {steps}: {found['shown']}")
    return found


def _plan(name: str, found: dict[str, Any], goal: float | None) -> Row:
    first, *later = found["runs"]
    return Row(
        name=f"{name}, CPU",
        value=first["cpu_s"],
        unit="s",
        goal=goal,
        baseline=f"wall {first['wall_s']:.2f}; later in the process {median_of(later, 'cpu_s'):.2f}",
        runs=tuple(run["cpu_s"] for run in found["runs"]),
    )
