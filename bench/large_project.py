"""A project with hundreds of stages, a hundred thousand partitions and a long history, kept once made."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import projects
from bench.common import BENCH, inside
from bench.ledger_files import write_history
from bench.ledger_history import STAGES, Batch
from bench.number_history import number_history
from tidemill.ledger.event import Attempted, Event, RecipeChanged, Ruled, SourceSeen
from tidemill.project.clock import VARIABLE, set_clock

SIZE, PARTITIONS, WORKFLOW = 500, 200, "scaled"
# The run that published all partitions, and a stage in the middle whose rows can be read.
RUN, STAGE = "20300101-000000-5ca1ed", "s250"
KEPT = BENCH.parent / "build" / "console"
CHAIN = 20
# Soon enough to see that view processes end, and late enough that no measurement waits for a new one.
IDLE_S = 20.0
DIAMOND = """

@flow.transform
def s{number}(s{before}: tm.Frame[Item], s{other}: tm.Frame[Item]) -> tm.Frame[Item]:
    other = s{other}.select("at", d=pl.col("c2"))
    return s{before}.join(other, on="at").with_columns(c1=pl.col("c1") + pl.col("d")).drop("d")
"""


def large_project(events: int) -> tuple[Path, Path]:
    """The folder of the project with about so many events, and the file of its clock."""
    folder = KEPT / f"{events}"
    clock = folder / "clock"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, clock, events)
        (folder / "done").touch()
    return folder, clock


def _make(folder: Path, clock: Path, events: int) -> None:
    projects.scaled(folder, 1, 3)
    with (folder / f"{WORKFLOW}.py").open("a", encoding="utf-8") as file:
        file.write("".join(map(_stage, range(1, SIZE))))
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[tool.tidemill.console]\nidle = {IDLE_S:g}\n")
    (folder / ".tidemill").mkdir()
    ended = write_history(folder / ".tidemill" / "ledger.db", events, _history(events))
    set_clock(clock, ended + 3600.0)
    given = {VARIABLE: str(clock)}
    inside(folder, "lay", str(PARTITIONS), script="inside_pages.py", variables=given)
    projects.age(folder / "data")
    inside(folder, "build", RUN, STAGE, script="inside_pages.py", variables=given)


def _stage(number: int) -> str:
    """Chains from the ingest on, with a diamond in every fourth place."""
    place = (number - 1) % CHAIN
    before = number - 1 if place else 0
    if place % 4 == 3:
        return DIAMOND.format(number=number, before=number - 1, other=number - 2)
    if place % 4 == 2:
        before = number - 2
    return projects.PASS.format(number=number, before=before)


def _history(events: int) -> Iterator[Batch]:
    """The history of a busy team, as if its tables were the partitions of this project's stages."""
    names = _Names()
    for at, batch in number_history(events):
        yield at, [moved for event in batch if (moved := names.moved(event)) is not None]


class _Names:
    """Names the stages and partitions of a history as the project does: later runs work on others."""

    def __init__(self) -> None:
        self._run = 0
        self._place: Mapping[str, int] = {name: place for place, name in enumerate(STAGES)}

    def moved(self, event: Event) -> Event | None:
        """The event in this project; None for what its stages don't have."""
        if isinstance(event, RecipeChanged | Ruled | SourceSeen):
            return None
        self._run += type(event).__name__ == "RunStarted"
        found: dict[str, Any] = {}
        for name in ("environment", "schedule", "parent"):
            value = getattr(event, name, "")
            if isinstance(value, str) and value.startswith("bakery/"):
                found[name] = value.replace("bakery/", f"{WORKFLOW}/", 1)
        if isinstance(event, Attempted):
            found["attempt"] = replace(event.attempt, **self._step(event.attempt))
        else:
            found |= self._step(event)
        return replace(event, **found) if found else event

    def _step(self, record: Any) -> dict[str, Any]:
        stage = getattr(record, "stage", "")
        if stage not in self._place:
            return {}
        found: dict[str, Any] = {"stage": f"s{self._place[stage] + len(STAGES) * (self._run % 10)}"}
        if getattr(record, "partition", ""):
            found["partition"] = _key(self._run // 10 % PARTITIONS)
        return found


def _key(number: int) -> str:
    return f"1900-01-{1 + number // 24:02}T{number % 24:02}"
