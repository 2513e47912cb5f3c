"""A built year of flights, one change of it at a time, and what the next run does about it."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import projects
from bench.common import BENCH, PYTHON, TIDEMILL, Row, Used, alternate, cpu, inside, measure, wall

RUN = (TIDEMILL, "run", "--json")
TRANSFORMS = (TIDEMILL, "run", "total", "--json")
DAYS = 364
LAST, NEW = "2013-12-30", "2013-12-31"
# What a step does when it computes; binding, judging again and removing compute nothing.
COMPUTES = ("run", "train", "evaluate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A change of a built project, and the steps that the run after it has to take, by stage."""

    name: str
    change: Callable[[Path], None]
    needed: Mapping[str, int] = field(default_factory=dict)
    command: tuple[str, ...] = RUN
    elsewhere: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the runs after a change used, those beside them that had nothing to do, and the steps."""

    used: list[Used]
    nothing: list[Used]
    ran: Mapping[str, int]
    others: Mapping[str, int]

    @property
    def over(self) -> float:
        """CPU seconds over a run with nothing to do."""
        return cpu(self.used) - cpu(self.nothing)

    @property
    def told(self) -> str:
        """The steps in words."""
        parts = [f"{stage} {steps}" for stage, steps in self.ran.items()]
        other = [f"{what} {steps}" for what, steps in self.others.items()]
        return "; ".join(filter(None, ("ran: " + (", ".join(parts) or "none"), ", ".join(other))))


class Year:
    """The data, the project with 364 days built, and the plain script that does all of it each time."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._copies = 0

    @cached_property
    def whole(self) -> Path:
        """365 days; the last has no weather in the source, and gets that of the day before it."""
        data = projects.lay(self.work / "whole")
        inside(self.work, "extend", str(data / "weather"), LAST, NEW)
        return projects.age(data)

    @cached_property
    def data(self) -> Path:
        """The 364 days before the last."""
        data = self.work / "data"
        shutil.copytree(self.whole, data)
        for name in ("flights", "weather"):
            (data / name / f"{NEW}.parquet").unlink()
        return data

    @cached_property
    def built(self) -> Path:
        """The project with all of that current; only to be copied."""
        project = projects.delays(self.work / "built", self.data)
        measure(RUN, project)
        return project

    @cached_property
    def still(self) -> Path:
        """A copy that never changes."""
        return self.copy()

    @cached_property
    def plain(self) -> list[Used]:
        """What the plain script used."""
        return [self.by_hand() for _ in range(3)]

    def by_hand(self, *options: str) -> Used:
        """Run the plain script; its tables are in `out` then."""
        out = self.work / "out"
        projects.set_aside(out, out)
        script = BENCH / "reuse_by_hand.py"
        return measure((PYTHON, script, self.data, out, *options), self.work)

    def copy(self, of: Path | None = None) -> Path:
        """A fresh copy of the built project, or of another."""
        self._copies += 1
        return Path(shutil.copytree(of or self.built, self.work / f"copy-{self._copies}"))

    def _settled_copy(self, command: tuple[str, ...], of: Path | None) -> Path:
        """A copy that has run: its files are new to the ledger, and would all be hashed after the change."""
        project = self.copy(of)
        # Times that are younger than two seconds tell nothing yet.
        time.sleep(2.5)
        measure(command, project)
        return project

    def share(self, cpu_s: float) -> str:
        """CPU seconds as a share of the plain script's."""
        return (
            f"{100 * cpu_s / cpu(self.plain):.1f} % of the plain script's {cpu(self.plain):.2f} s"
        )

    def arrive(self, project: Path) -> None:
        """Bring the last day."""
        for name in ("flights", "weather"):
            shutil.copy2(
                self.whole / name / f"{NEW}.parquet", project / "data" / name / f"{NEW}.parquet"
            )

    def see(self, scene: Scene, times: int, of: Path | None = None) -> Seen:
        """Make the change in fresh copies and run; beside each, a run with nothing to do."""
        steps: list[tuple[Counter[str], Counter[str]]] = []

        def changed() -> Used:
            project = self._settled_copy(scene.command, of)
            scene.change(project)
            used = measure(scene.command, project)
            steps.append(attempts(project, used))
            return used

        measure(scene.command, self.still)
        used, nothing = alternate(times, changed, lambda: measure(scene.command, self.still))
        if any(each != steps[0] for each in steps):
            raise RuntimeError(f"{scene.name}: not the same steps every time: {steps}")
        return Seen(used=used, nothing=nothing, ran=steps[0][0], others=steps[0][1])


def attempts(project: Path, used: Used) -> tuple[Counter[str], Counter[str]]:
    """The steps of a run that computed, by stage; and all others, by what they did and their stage."""
    run: str = json.loads(used.out)["receipt"]["run"]
    told: dict[str, Any] = json.loads(measure((TIDEMILL, "runs", run, "--json"), project).out)
    ran: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for each in told["attempts"]:
        if each["outcome"] == "ok" and each["action"] in COMPUTES:
            ran[each["stage"]] += 1
        else:
            doing = each["action"] if each["outcome"] == "ok" else each["outcome"]
            others[f"{doing} {each['stage']}"] += 1
    return ran, others


def spent(project: Path, used: Used) -> Counter[str]:
    """CPU seconds of the steps of a run, by stage."""
    run: str = json.loads(used.out)["receipt"]["run"]
    told: dict[str, Any] = json.loads(measure((TIDEMILL, "runs", run, "--json"), project).out)
    found: Counter[str] = Counter()
    for each in told["attempts"]:
        found[each["stage"]] += each["cpu_s"]
    return found


def step_rows(scene: Scene, seen: Seen) -> list[Row]:
    """Rows of the steps that could have been spared, and of those that were forgotten."""
    stages = {*seen.ran, *scene.needed}
    beyond = {s: seen.ran.get(s, 0) - scene.needed.get(s, 0) for s in sorted(stages)}
    told = f"{seen.told}; {scene.elsewhere}" if scene.elsewhere else seen.told
    rows = [
        Row(
            name=f"{scene.name}: steps that ran for nothing",
            value=sum(max(0, steps) for steps in beyond.values()),
            unit="steps",
            goal=0,
            baseline=told,
        )
    ]
    if scene.needed:
        needed = ", ".join(f"{stage} {steps}" for stage, steps in scene.needed.items())
        rows.append(
            Row(
                name=f"{scene.name}: steps that had to run and did not",
                value=sum(max(0, -steps) for steps in beyond.values()),
                unit="steps",
                goal=0,
                baseline=f"needed: {needed}",
            )
        )
    return rows


def cost_row(year: Year, scene: Scene, seen: Seen, goal: float | None = None) -> Row:
    """A row of the CPU seconds over a run with nothing to do."""
    runs = tuple(a.cpu_s - b.cpu_s for a, b in zip(seen.used, seen.nothing, strict=True))
    slower = wall(seen.used) - wall(seen.nothing)
    return Row(
        name=f"{scene.name}: CPU over nothing to do",
        value=seen.over,
        unit="s",
        goal=goal,
        baseline=f"{cpu(seen.used):.2f} s in all; wall {slower:+.2f} s; {year.share(seen.over)}",
        runs=runs,
    )


def state_bytes(folder: Path) -> dict[str, int]:
    """Bytes below a folder: of the objects, and of the rest."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    objects = sum(path.stat().st_size for path in files if "objects" in path.parts)
    return {"objects": objects, "rest": sum(path.stat().st_size for path in files) - objects}


def median_of(found: list[dict[str, Any]], name: str) -> float:
    """The median of a figure over reports."""
    return float(statistics.median(each[name] for each in found))
