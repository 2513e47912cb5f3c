"""A small workflow on small files, to be edited, run, broken and asked what ran.

Workflows are text that is executed as a module of a project's folder, as a user's edited file
would be imported by the next command.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from tidemill.ledger.event import Attempted, Event
from tidemill.ledger.run import Attempt, Receipt
from tidemill.planning.plan import Step
from tidemill.ports.runtime import Runtime
from tidemill.project.project import Project, open_project
from tidemill.runs.io.job import NoProgress
from tidemill.testing.doubles import MemoryModelProbe
from tidemill.workflow.workflow import Workflow

FIRST = date(2024, 3, 1)

# raw -> doubled -> daily, a partition a day; `times` is what an edit of shared code changes.
CHAIN = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True, max=1000)


class Doubled(tm.Contract, key=("day", "id")):
    day, id = Raw.day, Raw.id
    double = tm.Float64(nullable=True)


class Daily(tm.Contract, key=("day",)):
    day = Raw.day
    total = tm.Float64()
    rows = tm.UInt32()


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


def times(value: pl.Expr) -> pl.Expr:
    return value * 2


@flow.transform
def doubled(raw: tm.Frame[Raw]) -> tm.Frame[Doubled]:
    return raw.select("day", "id", double=times(pl.col("value")))


@flow.transform
def daily(doubled: tm.Frame[Doubled]) -> tm.Frame[Daily]:
    return doubled.group_by("day").agg(total=pl.col("double").sum(), rows=pl.len())
"""

# The contract of the source allows any number of bad rows.
LENIENT = CHAIN.replace("max=1000)\n", "max=1000)\n    any_bad = tm.Budget(max_bad=1)\n", 1)
STAGES = ("raw", "doubled", "daily")


def day(number: int) -> str:
    """The key of a day, counted from 0."""
    return str(FIRST + timedelta(days=number))


def rows_of(number: int, values: Sequence[float | None] = (1.0, 2.0, 3.0)) -> pl.DataFrame:
    """Rows of one day as a source sends them, not in the order of the key."""
    ids = list(range(len(values)))[::-1]
    days = [FIRST + timedelta(days=number)] * len(ids)
    return pl.DataFrame(
        {"day": days, "id": ids, "value": list(values)},
        schema={"day": pl.Date, "id": pl.Int64, "value": pl.Float64},
    )


def write_whole(path: Path, text: str) -> None:
    """Give a file a text; a command that reads it meanwhile finds the old or the new one."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    new = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def flow_of(root: Path, text: str, name: str = "tides") -> Workflow:
    """The workflow of a module that is written to `root` and imported anew."""
    path = root / f"{name}.py"
    write_whole(path, text)
    linecache.checkcache(str(path))
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(compile(text, str(path), "exec"), vars(module))
    flow = module.flow
    assert isinstance(flow, Workflow)
    return flow


class Tides:
    """A project in a folder: its files, its workflow's text, and the runs that were made of it."""

    def __init__(self, root: Path, text: str = CHAIN) -> None:
        self.root = root
        self.text = text
        self.change: Callable[[Runtime], Runtime] = lambda tools: tools
        (root / "data").mkdir(parents=True, exist_ok=True)

    def send(self, number: int, values: Sequence[float | None] = (1.0, 2.0, 3.0)) -> Path:
        """Write one day's file."""
        return self.put(f"{day(number)}.parquet", rows_of(number, values))

    def put(self, name: str, frame: pl.DataFrame) -> Path:
        """Write a file of the source, whatever it holds."""
        path = self.root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(path)
        return path

    def edit(self, old: str, new: str) -> None:
        """Change the workflow's text, as the user's next save does."""
        assert old in self.text
        self.text = self.text.replace(old, new)

    def remove_missing(self) -> None:
        """Declare that the rows of files that vanish are removed."""
        self.edit('"data/*.parquet")', '"data/*.parquet", on_missing="remove")')

    def withdraw(self, *numbers: int) -> None:
        """Delete the files of some days."""
        for number in numbers:
            (self.root / "data" / f"{day(number)}.parquet").unlink()

    def open(self) -> Project:
        """The project as the next command finds it."""
        project = open_project(self.root, workflow=flow_of(self.root, self.text))
        project.workspace.tools = self.change(project.tools)
        return project

    def use(self, **tools: Any) -> None:
        """Let the commands that follow work with other tools.

        Formats that no setting names are unknown to the process that loads models, so this one does.
        """
        if "formats" in tools:
            tools.setdefault("model_probe", MemoryModelProbe())
        self.change = lambda known: replace(known, **tools)

    def run(self, stage: str = "", **request: Any) -> Receipt:
        """One run by a command of its own; its receipt, also if it failed."""
        project = self.open()
        try:
            return project.run(stage, **{"raise_on_failure": False, **request})
        finally:
            project.close()

    def ok(self, stage: str = "", **request: Any) -> dict[str, list[str]]:
        """A run that must succeed; what it did."""
        receipt = self.run(stage, **request)
        # Gates that approve give their evidence, and a candidate that was refused is remembered.
        known = (
            " approved:",
            " was refused on ",
            " was rejected on ",
            " was withdrawn on ",
            ": search of ",
        )
        faults = [m for m in receipt.messages if not any(words in m for words in known)]
        assert (receipt.exit_code, faults) == (0, []), receipt.messages
        return self.ran(receipt)

    def ran(self, receipt: Receipt) -> dict[str, list[str]]:
        """What a run tried, from the ledger: `outcome action stage` and the partitions, in order."""
        found: dict[str, list[str]] = {}
        for event in self.events("Attempted", run=receipt.run):
            assert isinstance(event, Attempted)
            attempt = event.attempt
            name = f"{attempt.outcome} {attempt.action} {attempt.stage}"
            found.setdefault(name, []).append(attempt.partition)
        return found

    def events(self, *kinds: str, run: str = "") -> list[Event]:
        """Facts of the ledger."""
        project = self.open()
        try:
            return [fact.event for fact in project.tools.ledger.events(kinds=kinds, run=run)]
        finally:
            project.close()

    def read(self, stage: str, partition: str | None = None) -> pl.DataFrame:
        """Published rows."""
        project = self.open()
        try:
            return project.read(stage, partition).collect()
        finally:
            project.close()

    def quarantined(self, stage: str, partition: str | None = None) -> pl.DataFrame:
        """Rows that were rejected."""
        project = self.open()
        try:
            return project.quarantined(stage, partition).collect()
        finally:
            project.close()

    def published(self) -> dict[str, list[str]]:
        """The partitions of every stage that has some."""
        project = self.open()
        try:
            heads = project.state().heads
            return {name: sorted(h.partitions) for name, h in heads.items() if h.partitions}
        finally:
            project.close()

    def contents(self) -> dict[str, dict[str, str]]:
        """What names the values of every partition of every stage."""
        project = self.open()
        try:
            return {
                name: {key: b.product.content for key, b in sorted(head.partitions.items())}
                for name, head in project.state().heads.items()
                if head.partitions
            }
        finally:
            project.close()


def everything(numbers: Sequence[int]) -> dict[str, list[str]]:
    """What a run did that built these days of the chain from nothing."""
    return {f"ok run {stage}": [day(n) for n in numbers] for stage in STAGES}


def rebuilt(tides: Tides, root: Path) -> dict[str, dict[str, str]]:
    """The contents of a project with the same files and text that never ran before."""
    fresh = Tides(root, tides.text)
    for path in (tides.root / "data").iterdir():
        (root / "data" / path.name).write_bytes(path.read_bytes())
    fresh.run()
    return fresh.contents()


def by_hand(frames: Mapping[int, Sequence[float | None]], factor: float = 2.0) -> pl.DataFrame:
    """What `daily` must hold, without Tidemill."""
    totals = [sum(v for v in values if v is not None) * factor for values in frames.values()]
    return pl.DataFrame(
        {
            "day": [FIRST + timedelta(days=n) for n in frames],
            "total": totals,
            "rows": [len(values) for values in frames.values()],
        },
        schema={"day": pl.Date, "total": pl.Float64, "rows": pl.UInt32},
    )


class Before(NoProgress):
    """Calls back before each step, with how many are done."""

    def __init__(self, call: Callable[[int, Step], object]) -> None:
        self._call = call
        self._done = 0

    def started(self, step: Step) -> None:
        self._call(self._done, step)

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        self._done += 1
