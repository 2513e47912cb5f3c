"""Budgets: how often random mixes of steps exceed one, by how much, and how much of it they can use.

Steps burn CPU time in real worker processes; estimates are wrong or missing. What was spent is what the
system says of all processes once they have ended. `python -m bench.budgets [PART...]` prints a table and
writes results/budgets.json.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.common import Row, drive
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.costs.budget import BudgetStatus, SpendingBudget
from tidemill.ledger.io.process_usage import cpu_with_children
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action
from tidemill.planning.plan import Step
from tidemill.ports.execution import Fate, Task
from tidemill.runs.io.run_budget import RunBudget
from tidemill.steps.step_messages import StepCost
from tidemill.workflow.spending_limit import SpendingLimit

MIXES, RUNS, WORKERS = 200, 8, 2
SPIN = "tidemill.testing.suites.executor_tasks:spin"
BASELINE = "budgets that are soft limits: checked between steps, or daily"
WORKFLOW = """
import time

import polars as pl
import tidemill as tm


class Rows(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64()
    day = tm.Date(partition="1d")
    seconds = tm.Float64()


flow = tm.Workflow("burn")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("rows.csv")


@flow.transform(version="1")
def burned(rows: tm.Frame[Rows]) -> tm.Frame[Rows]:
    def spin(seconds):
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass
        return seconds
    return rows.with_columns(pl.col("seconds").map_elements(spin, return_dtype=pl.Float64))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a mix was allowed, what it spent (CPU seconds), and whether it was stopped."""

    allowed: float
    spent: float
    stopped: bool


def run_mix(seed: int) -> Ended:
    """Run a random mix of steps on a lane, under a random budget."""
    rng = random.Random(seed)
    allowed = rng.uniform(1.0, 5.0)
    limit = SpendingLimit(amount=allowed / 3_600, in_cpu_hours=True)
    status = BudgetStatus(budget=SpendingBudget(setting="budget.monthly", limit=limit), spent=0.0)
    began = cpu_with_children()
    budget = RunBudget([status], Price(), is_limited=lambda _: True, workers=WORKERS)
    needs = {str(number): rng.expovariate(2.0) for number in range(rng.randint(2, 8))}
    steps = {name: _step(name, _estimate(rng, need)) for name, need in needs.items()}
    waiting, running, stopped = [*steps], set[str](), False
    with ProcessLane(max_workers=WORKERS, idle_s=1.0, meter=budget) as lane:
        while waiting or running:
            for name in [*waiting]:
                permit = budget.reserve(name, steps[name], 1.0)
                if permit.waits:
                    break
                waiting.remove(name)
                stopped |= not permit.begins
                if permit.begins:
                    lane.submit(Task(id=name, function=SPIN, params=str(needs[name]).encode()))
                    running.add(name)
            for event in lane.events(0.2):
                if event.fate is not Fate.STARTED:
                    cost = StepCost(wall_s=event.wall_s, cpu_s=event.cpu_s)
                    budget.settle(event.task, cost)
                    running.discard(event.task)
                    stopped |= event.fate is Fate.BUDGET
    return Ended(allowed=allowed, spent=cpu_with_children() - began, stopped=stopped)


def _estimate(rng: random.Random, need: float) -> float | None:
    return None if rng.random() < 0.3 else need * rng.lognormvariate(0.0, 0.8)


def _step(name: str, seconds: float | None) -> Step:
    return Step(
        stage="burned",
        partition=name,
        action=Action.RUN,
        reasons=(),
        cpu_s=seconds,
        wall_s=seconds,
    )


def run_project(seed: int) -> Ended:
    """Run a project in an environment with a random budget; what its ledger says was spent."""
    from tidemill.project.budgets import statuses_of
    from tidemill.project.project import open_project

    rng = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="budgets-"))
    module, allowed = f"burn_{uuid.uuid4().hex[:8]}", rng.uniform(4.0, 9.0)
    rows = [f"{n},2026-03-{n:02},{rng.expovariate(1.0):.3f}" for n in range(1, rng.randint(3, 9))]
    (folder / "rows.csv").write_text("\n".join(["id,day,seconds", *rows, ""]))
    (folder / f"{module}.py").write_text(WORKFLOW)
    (folder / "pyproject.toml").write_text(
        f'[tool.tidemill]\nworkflow = "{module}:flow"\nworkers = {WORKERS}\n'
        f'[tool.tidemill.profiles.small]\nbudget = "{allowed:.3f} CPU-seconds"\n'
    )
    try:
        with open_project(folder, env="dev", profile="small") as project:
            code = project.run(raise_on_failure=False).exit_code
        with open_project(folder, env="dev") as project:
            state = project.tools.ledger.state("dev")
            (status,) = statuses_of(project.workspace, state)
        return Ended(allowed=allowed, spent=status.spent * 3_600, stopped=code == 5)
    finally:
        shutil.rmtree(folder)


def rows_of(name: str, ended: list[Ended]) -> list[Row]:
    """The figures of some mixes."""
    over = [each.spent - each.allowed for each in ended if each.spent > each.allowed]
    used = [each.spent / each.allowed for each in ended if each.stopped]
    return [
        Row(name=f"{name}: budgets exceeded, of {len(ended)}", value=len(over), unit="budgets",
            goal=0, baseline=BASELINE),
        Row(name=f"{name}: most that one was exceeded by", value=max(over, default=0.0), unit="CPU s",
            goal=0),
        Row(name=f"{name}: stopped by a budget", value=len(used), unit="mixes"),
        Row(name=f"{name}: share of a budget that was used when it stopped, median",
            value=statistics.median(used) if used else 0.0, unit="x"),
    ]  # fmt: skip


class Parts:
    """The parts of the benchmark."""

    def mixes(self) -> list[Row]:
        """Random mixes of steps on a lane."""
        return rows_of("steps on a lane", [run_mix(seed) for seed in range(MIXES)])

    def runs(self) -> list[Row]:
        """Whole runs of projects."""
        return rows_of("runs of a project", [run_project(seed) for seed in range(RUNS)])


def parts_of(_: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    parts = Parts()
    return {"mixes": parts.mixes, "runs": parts.runs}


if __name__ == "__main__":
    drive("budgets", sys.argv[1:], parts_of)
