"""What a home in PostgreSQL costs: `python -m bench.shared_home [PART...]`, on a server of this machine.

The server, which waits for the disk, and all machines share the CPUs. Prints a table and writes it to
results/shared_home.json. `plan` takes half an hour, and is measured only when it is named.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from bench import projects
from bench.common import TIDEMILL, Row, drive, inside, measure
from tidemill.adapters.postgres.address import HomeAddress, parse_address
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.event import Published
from tidemill.testing.records import published_event
from tools import postgres

APPENDS, BATCH, BATCHES = 300, 500, 8
PARTITIONS, STAGES, COLUMNS = 100_000, 20, 12
RUNNERS, STEPS = 8, 10_000
WORKFLOW = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("part",)):
    part = tm.String(partition="value")
    value = tm.Float64()


class Doubled(tm.Contract, key=("part",)):
    part = Raw.part
    double = tm.Float64()


flow = tm.Workflow("{name}")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("{name}/*.csv")


@flow.transform
def doubled(raw: tm.Frame[Raw]) -> tm.Frame[Doubled]:
    return raw.select("part", double=pl.col("value") * 2)
"""


def parts_of(work: Path, url: str) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "appends": lambda: _appends(work, url),
        "runners": lambda: _runners(work, url),
        "second": lambda: _second(work, url),
        "plan": lambda: _plan(work, url),
    }


def _address(url: str, schema: str) -> HomeAddress:
    return parse_address(f"{url}&schema={schema}", "the benchmark's", with_password=True)


# Appends.


def _appends(work: Path, url: str) -> list[Row]:
    address = _address(url, "appends")
    with (
        closing(SqliteLedger(work / "own" / "ledger.db")) as own,
        closing(PostgresLedger(work / "one" / "ledger.db", address)) as one,
        closing(PostgresLedger(work / "other" / "ledger.db", address)) as other,
    ):
        near = [_append(own, number, 1) for number in range(APPENDS)]
        far = [_append(one, number, 1) for number in range(APPENDS)]
        turns = [
            _append(ledger, APPENDS + 2 * number + which, 1)
            for number in range(APPENDS // 2)
            for which, ledger in enumerate((one, other))
        ]
        near_many = [_append(own, 10_000 + n * BATCH, BATCH) / BATCH for n in range(BATCHES)]
        far_many = [_append(one, 10_000 + n * BATCH, BATCH) / BATCH for n in range(BATCHES)]
        reads = [_timed(lambda: one.state("prod")) for _ in range(APPENDS)]
    return [
        Row(name="publish a partition, in an append of its own", unit="ms",
            value=statistics.median(far), goal=5,
            baseline=f"{statistics.median(near):.2f} in SQLite"),
        Row(name="the same, when another machine appended before", unit="ms",
            value=statistics.median(turns), baseline="a copy follows first"),
        Row(name=f"publish a partition, with {BATCH} in an append", unit="ms",
            value=statistics.median(far_many), goal=5,
            baseline=f"{statistics.median(near_many):.3f} in SQLite", runs=tuple(far_many)),
        Row(name="read the state when nothing is new", unit="ms", value=statistics.median(reads)),
    ]  # fmt: skip


def _append(ledger: SqliteLedger, first: int, count: int) -> float:
    events = [published_event(f"{first + number:07}") for number in range(count)]
    return _timed(lambda: ledger.append(events, now=1.0))


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - began)


# Many runners.


def _runners(work: Path, url: str) -> list[Row]:
    share = STEPS // 2 // RUNNERS
    parts = [range(n * share, (n + 1) * share) for n in range(RUNNERS)]
    alone = [_laid(work / "alone", url, "alone", range(STEPS // 2))]
    apart = [_laid(work / f"apart-{n}", url, f"apart_{n}", part) for n, part in enumerate(parts)]
    close = [_laid(work / "close", url, f"close_{n}", part) for n, part in enumerate(parts)]
    (one_s, *faults), (apart_s, *more), (close_s, *most) = map(_run, (alone, apart, close))
    places = []
    for schema in ("alone", "apart", "close"):
        with closing(PostgresLedger(work / f"{schema}.db", _address(url, schema))) as ledger:
            places += [
                (event.environment, event.stage, event.partition)
                for fact in ledger.events(kinds=("Published",))
                if isinstance(event := fact.event, Published)
            ]
    expected = 3 * STEPS
    told = f"{{:.1f}} s against {one_s:.1f} s of one".format
    return [
        Row(name=f"{RUNNERS} runners at once, {STEPS:,} small steps", unit="x",
            value=apart_s / one_s, goal=1.0, baseline=told(apart_s)),
        Row(name="the same in one checkout, which has one copy of the ledger", unit="x",
            value=close_s / one_s, goal=1.0, baseline=told(close_s)),
        Row(name="steps that were published twice", unit="", goal=0,
            value=len(places) - len({*places}), baseline=f"of {len(places):,}"),
        Row(name="steps that were lost", unit="", goal=0, value=expected - len({*places})),
        Row(name="runs that failed by a conflict", unit="", goal=0, value=sum(faults + more + most)),
    ]  # fmt: skip


def _laid(folder: Path, url: str, name: str, numbers: range) -> tuple[Path, str]:
    """A checkout with a workflow of that name, beside others if there are any."""
    (folder / name).mkdir(parents=True)
    (folder / f"{name}_flow.py").write_text(WORKFLOW.format(name=name), encoding="utf-8")
    rows = [f"{number:05},{number / 7}" for number in numbers]
    (folder / name / "rows.csv").write_text("\n".join(["part,value", *rows, ""]))
    projects.age(folder / name)
    schema = name.partition("_")[0]
    values = {
        "home": f"{url}&schema={schema}",
        "artifacts": f"file://{folder.parent}/store-{schema}",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    (folder / "pyproject.toml").write_text("\n".join(["[tool.tidemill]", *lines, ""]))
    return folder, f"{name}_flow:flow"


def _run(workflows: Sequence[tuple[Path, str]]) -> tuple[float, int]:
    """The seconds until all runs have ended, and how many failed."""
    began = time.perf_counter()
    running = [
        subprocess.Popen([TIDEMILL, "run", "-w", name], cwd=folder, stdout=subprocess.DEVNULL)
        for folder, name in workflows
    ]
    failed = sum(process.wait() != 0 for process in running)
    return time.perf_counter() - began, failed


# A second machine.


def _second(work: Path, url: str) -> list[Row]:
    for name in ("ci", "colleague"):
        measure([TIDEMILL, "init", name], work)
        file = work / name / "pyproject.toml"
        head = "[tool.tidemill]\n"
        text = file.read_text(encoding="utf-8")
        setting = f'home = "{url}&schema=second"\nartifacts = "file://{work}/second-store"\n'
        file.write_text(text.replace(head, head + setting, 1), encoding="utf-8")
    first = measure([TIDEMILL, "run"], work / "ci")
    again = measure([TIDEMILL, "run", "--json"], work / "colleague")
    ran = sum(stage["ran"] for stage in json.loads(again.out)["receipt"]["stages"])
    return [
        Row(name="steps that a second machine computes in its first run", unit="", value=ran, goal=0,
            baseline=f"{again.wall_s:.1f} s, after a first run of {first.wall_s:.1f} s"),
    ]  # fmt: skip


# A large plan.


def _plan(work: Path, url: str) -> list[Row]:
    project = projects.scaled(work / "large", STAGES, COLUMNS)
    inside(project, "lay", str(PARTITIONS), script="inside_scale.py")
    projects.age(project / "data")
    file, head = project / "pyproject.toml", "[tool.tidemill]\n"
    setting = f'home = "{url}&schema=large"\nartifacts = "file://{project}/store"\n'
    file.write_text(file.read_text().replace(head, head + setting, 1), encoding="utf-8")
    inside(project, "build", script="inside_scale.py")
    planned = inside(project, "plan", "3", script="inside_scale.py")["runs"]
    [copy] = project.glob(".tidemill-*")
    shutil.rmtree(copy)
    began = time.perf_counter()
    with closing(PostgresLedger(copy / "ledger.db", _address(url, "large"))) as ledger:
        events = ledger.count
    copied_s = time.perf_counter() - began
    size = f"{PARTITIONS:,} partitions x {STAGES} stages"
    wall_s, cpu_s = ([run[each] for run in planned] for each in ("wall_s", "cpu_s"))
    return [
        Row(name=f"open + plan, {size}, nothing changed", unit="s", goal=0.5,
            value=wall_s[0],
            baseline=f"CPU {cpu_s[0]:.2f}; later in the process {min(wall_s):.2f}; SQLite: bench/scale.py"),
        Row(name="copy the ledger to a new machine", unit="s", value=copied_s,
            baseline=f"{events:,} events, {1e6 * copied_s / events:.0f} us each"),
    ]  # fmt: skip


if __name__ == "__main__":
    with postgres.server(durable=True) as server:
        drive("shared_home", sys.argv[1:], lambda work: parts_of(work, server), asked=("plan",))
