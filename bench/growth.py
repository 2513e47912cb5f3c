"""How commands and commits grow with the state: `python -m bench.growth [PART...]`.

A workflow of many stages has made-up results of more and more partitions, in SQLite and in PostgreSQL on
this machine (see `inside_scale.py`). What commands take is CPU time of the whole process; what the server
takes is in the wall time. The exponent says how a figure grows with the number of results, or of partitions
where a command is about one stage or there are as many results: 1 is linear. The part `stages` runs one row
through more and more stages, in a row and side by side. The part `machines` measures what more and more
copies cost that follow a ledger. The table is written to results/growth.json. The parts with `large` take an
hour and tens of gigabytes each, and are measured only when they are named.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import psycopg

from bench import processes, projects
from bench.common import TIDEMILL, Row, Used, drive, inside, measure
from tidemill.adapters.postgres.address import parse_address
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.testing.records import published_event
from tools import postgres

SCRIPT = "inside_scale.py"
COLUMNS = 12
USUAL = ((1_000, 50), (10_000, 50))
LARGE = ((10_000, 50), (100_000, 20), (1_000_000, 2))
# A plan of more steps than these takes more than some minutes.
REBUILT = 2_000_000
# Copies that follow, and appends while they do.
FOLLOWERS, APPENDS = (0, 8, 32), 200
# What only looks; the names of the rows, and the commands.
LOOKS = {
    "plan, nothing changed": "plan",
    "status": "status",
    "list the runs": "runs",
    "list the stages with their states": "graph",
    "describe a stage": "explain s1",
    "look up a partition": "explain s1 1900-01-01T05",
    "say whose work it is": "share",
    "see what a sweep would remove": "sweep --dry-run",
}
OF_A_STAGE = "describe a stage"
# Stages that are run with one row, and what is done with them at first.
STAGES = (10, 100, 1_000)
FIRST = {
    "check": "check",
    "first plan": "plan",
    "first run": "run",
    "plan, nothing changed": "plan",
    "run, nothing changed": "run",
    "status": "status",
    "list the stages with their states": "graph",
}


@dataclass
class Curve:
    """What each act took on states of several sizes, in the order in which they were measured."""

    engine: str
    used: dict[str, list[Used]] = field(default_factory=dict)
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, act: str, used: Used) -> None:
        """Note what a command took."""
        told = f"{act}: CPU {used.cpu_s:.2f} s, {used.peak_rss / 1e6:.0f} MB"
        print(f"        {told}", file=sys.stderr, flush=True)
        self.used.setdefault(act, []).append(used)

    def rows(self, sizes: Sequence[tuple[int, int]]) -> Iterator[Row]:
        """A row for each act and size, and one for how the act grows."""
        labels = [f"{partitions:,} x {stages}" for partitions, stages in sizes]
        for act, used in self.used.items():
            # Some acts are left out for larger states.
            for label, each in zip(labels, used, strict=False):
                told = f"wall {each.wall_s:.2f} s, peak RSS {each.peak_rss / 1e6:.0f} MB"
                yield self._row(f"{act}, {label}, CPU", each.cpu_s, "s", told)
            if len(used) > 1:
                grown = [_times(act, *pair) for pair in pairwise(sizes)]
                yield self._exponent(f"{act}, CPU", [each.cpu_s for each in used], grown)
                peaks = [float(each.peak_rss) for each in used]
                yield self._exponent(f"{act}, memory", peaks, grown)
        for figure, values in self.figures.items():
            name, _, unit = figure.rpartition(" in ")
            for label, value in zip(labels, values, strict=True):
                yield self._row(f"{name}, {label}", value, unit)

    def _row(self, name: str, value: float, unit: str, baseline: str = "") -> Row:
        return Row(name=f"{self.engine}: {name}", value=value, unit=unit, baseline=baseline)

    def _exponent(self, name: str, values: Sequence[float], grown: Sequence[float]) -> Row:
        """The steepest growth between two sizes that follow each other."""
        pairs = zip(pairwise(values), grown, strict=False)
        return Row(
            name=f"{self.engine}: {name}, exponent", unit="", goal=1.1,
            value=max(math.log(more / less) / math.log(times) for (less, more), times in pairs),
        )  # fmt: skip


def _times(act: str, less: tuple[int, int], more: tuple[int, int]) -> float:
    """How many times as much of what an act is about one size has as another."""
    results = math.prod(more) / math.prod(less)
    return more[0] / less[0] if act == OF_A_STAGE or results == 1 else results


def measured(work: Path, sizes: Sequence[tuple[int, int]], url: str = "") -> list[Row]:
    """The rows of an engine: of PostgreSQL at an URL, else of SQLite."""
    engine, large = "PostgreSQL" if url else "SQLite", "" if sizes == USUAL else ", large"
    curve = Curve(engine + large)
    for number, (partitions, stages) in enumerate(sizes):
        print(f"    {partitions:,} x {stages}", file=sys.stderr, flush=True)
        project = projects.scaled(work / f"growth-{number}", stages, COLUMNS)
        if url:
            _share(project, f"{url}&schema=growth_{partitions}_{stages}")
        inside(project, "lay", str(partitions), script=SCRIPT)
        projects.age(project / "data")
        _measure(curve, project, partitions * stages)
        shutil.rmtree(project)
    return [*curve.rows(sizes)]


def _staged(work: Path, name: str, lay: Callable[[Path, int], Path]) -> list[Row]:
    """The rows of workflows of more and more stages, which are laid out in some way."""
    curve = Curve(name)
    for stages in STAGES:
        print(f"    {stages:,} {name}", file=sys.stderr, flush=True)
        project = lay(work / f"{lay.__name__}-{stages}", stages)
        for act, words in FIRST.items():
            curve.note(act, _call(project, words))
        size = sum(path.stat().st_size for path in project.glob(".tidemill/ledger.db*"))
        curve.figures.setdefault("ledger, a stage in bytes", []).append(size / stages)
        (project / "data" / "rows.csv").write_text("n\n1\n", encoding="utf-8")
        projects.age(project / "data")
        curve.note("plan, one row changed", _call(project, "plan"))
        curve.note("run, one row changed", _call(project, "run"))
    return [*curve.rows([(1, stages) for stages in STAGES])]


def _measure(curve: Curve, project: Path, steps: int) -> None:
    built = inside(project, "build", script=SCRIPT)
    [home, *_] = [*project.glob(".tidemill*")]
    size = sum(path.stat().st_size for path in home.glob("ledger.db*"))
    facts = {
        "publish in batches, a result in us": 1e6 * built["append_s"] / steps,
        "ledger on this machine, a result in bytes": size / steps,
    }
    for name, value in facts.items():
        curve.figures.setdefault(name, []).append(value)
    for act, words in LOOKS.items():
        curve.note(act, _call(project, words))
    inside(project, "change", script=SCRIPT)
    curve.note("plan, one row changed", _call(project, "plan"))
    curve.note("run, one row changed", _call(project, "run"))
    if steps <= REBUILT:
        # Nothing that was made up is stored, so the last stage needs all that is before it, too.
        projects.edit_last(project)
        curve.note("plan, all is to be computed again", _call(project, "plan"))


def _call(project: Path, words: str) -> Used:
    return measure([TIDEMILL, *words.split()], project)


def _share(project: Path, url: str) -> None:
    file, head = project / "pyproject.toml", "[tool.tidemill]\n"
    setting = f"home = {json.dumps(url)}\nartifacts = {json.dumps(f'file://{project}/store')}\n"
    file.write_text(file.read_text().replace(head, head + setting, 1), encoding="utf-8")


def _machines(work: Path, url: str) -> list[Row]:
    rows: list[Row] = []
    for count in FOLLOWERS:
        wall, server, all_copies = _followed(work / f"followed-{count}", url, count)
        told = (
            f"wall {wall:.2f} ms; CPU of the appending machine and all copies {all_copies:.2f} ms"
        )
        name = f"an append that {count} copies follow, CPU of the server"
        rows.append(Row(name=name, unit="ms", value=server, baseline=told))
    return rows


def _followed(work: Path, url: str, count: int) -> tuple[float, float, float]:
    """What an append takes until so many copies have it: wall, CPU of the server, CPU of this process."""
    address = parse_address(f"{url}&schema=followed_{count}", "the benchmark's", with_password=True)
    with ExitStack() as stack:
        one, *others = [
            stack.enter_context(closing(PostgresLedger(work / str(n) / "ledger.db", address)))
            for n in range(count + 1)
        ]
        one.append([published_event("first")], now=1.0)
        for ledger in others:
            stack.enter_context(ledger.followed())
            ledger.state("prod")
        server = stack.enter_context(psycopg.connect(address.dsn, autocommit=True))
        before, began = (_server_cpu_s(server), time.process_time()), time.perf_counter()
        for number in range(APPENDS):
            one.append([published_event(str(number))], now=1.0)
        # Reading waits until a copy is as far.
        for ledger in others:
            ledger.state("prod")
        wall_s = time.perf_counter() - began
        spent = _server_cpu_s(server) - before[0], time.process_time() - before[1]
    each_ms = 1e3 / APPENDS
    return each_ms * wall_s, each_ms * spent[0], each_ms * spent[1]


def _server_cpu_s(connection: psycopg.Connection[tuple[int]]) -> float:
    """The CPU seconds of the server's processes for the connections that there are."""
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
    return sum(processes.cpu_s(pid) for (pid,) in connection.execute(query).fetchall())


def parts_of(work: Path, url: str) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    return {
        "sqlite": partial(measured, work, USUAL),
        "postgres": partial(measured, work, USUAL, url),
        "machines": partial(_machines, work, url),
        "stages": lambda: [
            *_staged(work, "stages in a row", projects.chain),
            *_staged(work, "stages side by side", projects.wide),
        ],
        "sqlite-large": partial(measured, work, LARGE),
        "postgres-large": partial(measured, work, LARGE[:-1], url),
    }


if __name__ == "__main__":
    with postgres.server(durable=True) as server:
        drive(
            "growth",
            sys.argv[1:],
            lambda work: parts_of(work, server),
            asked=("sqlite-large", "postgres-large"),
        )
