"""Operation: what `tidemill up` needs while idle, how soon it publishes, that kills lose nothing, how a
home grows, and how many alerts of anomalies are right.

`python -m bench.operations [PART...]` prints a table and writes results/operations.json.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path

from bench.common import PYTHON, Row, drive, inside
from bench.processes import TICKS
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.event import Published

PAGE = os.sysconf("SC_PAGE_SIZE")
# `man 2 prctl`.
CHILD_SUBREAPER = 36
# Seconds: how long the idle supervisor is measured, and the longest wait for anything.
IDLE_S, PATIENCE_S = 60.0, 120.0
ARRIVALS, KILLS, FILES = 40, 200, 100_000
GROWTH_DAYS = 200
# Stages whose runs are simulated, and the days of history that they have by then.
STAGES, HISTORY = 1_000, 196


class Supervised:
    """A `tidemill up` in a folder, with what it says in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder.parent / "up.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [PYTHON, "-P", "-m", "tidemill", "up", "--no-console"],
                cwd=folder,
                stdout=file,
                stderr=file,
            )

    def wait(self, happened: Callable[[], object]) -> None:
        """Wait until something has happened."""
        end = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"it never happened:\n{self.log.read_text()}")
            time.sleep(0.005)

    def says(self, text: str) -> None:
        """Wait until it has said something."""
        self.wait(lambda: text in self.log.read_text())

    def cpu_s(self) -> float:
        """The CPU seconds of the supervisor alone."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def memory(self) -> float:
        """The resident memory of the supervisor in megabytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * PAGE / 1e6

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait()


@contextmanager
def supervised(folder: Path) -> Iterator[Supervised]:
    """A `tidemill up` until the end of the block."""
    found = Supervised(folder)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.end(signal.SIGKILL)


def bakery(work: Path, name: str) -> Path:
    """A new project of the template that has run once."""
    folder = work / name / "bakery"
    folder.parent.mkdir()
    for arguments in (["init", "bakery"], ["-C", str(folder), "run"]):
        subprocess.run(
            [PYTHON, "-P", "-m", "tidemill", *arguments],
            cwd=folder.parent, check=True, capture_output=True,
        )  # fmt: skip
    return folder


def add_day(folder: Path) -> str:
    """Let the next day's files arrive; return the day."""
    done = subprocess.run(
        [PYTHON, "new_day.py"], cwd=folder, check=True, capture_output=True, text=True
    )
    return Path(done.stdout.split()[0]).stem


def query(folder: Path, sql: str, *values: str) -> list[tuple[object, ...]]:
    """Rows of the ledger."""
    place = f"file:{folder / '.tidemill' / 'ledger.db'}?mode=ro"
    with closing(sqlite3.connect(place, uri=True)) as connection:
        return connection.execute(sql, values).fetchall()


def runs_ended(folder: Path) -> object:
    """How many runs have ended."""
    return query(folder, "SELECT count(*) FROM events WHERE kind = 'RunEnded'")[0][0]


def idle(work: Path) -> list[Row]:
    """The supervisor while nothing happens, after a run."""
    folder = bakery(work, "idle")
    with supervised(folder) as up:
        up.says("nothing to do")
        time.sleep(5.0)
        before = up.cpu_s()
        time.sleep(IDLE_S)
        share = (up.cpu_s() - before) / IDLE_S * 100
        memory = up.memory()
        began = time.monotonic()
        up.end()
    elsewhere = "luigid 27 MB, Prefect 216, Dagster 528"
    return [
        Row(name="idle supervisor: memory", value=memory, unit="MB", goal=60, baseline=elsewhere),
        Row(name="idle supervisor: CPU", value=share, unit="%", goal=0.5),
        Row(name="SIGTERM to the end, idle", value=time.monotonic() - began, unit="s"),
    ]


def arrivals(work: Path) -> list[Row]:
    """From the last byte of a new file to the publication of the partition that is computed from it."""
    folder = bakery(work, "arrivals")
    published = (
        "SELECT 1 FROM events WHERE kind = 'Published' AND stage = 'features' AND partition = ?"
    )
    waits = []
    with supervised(folder) as up:
        up.says("nothing to do")
        for _ in range(ARRIVALS):
            ended = runs_ended(folder)
            day = add_day(folder)
            began = time.monotonic()
            up.wait(partial(query, folder, published, day))
            waits.append(time.monotonic() - began)
            # The run goes on with the model; the next file comes when it is over.
            while runs_ended(folder) == ended:
                time.sleep(0.01)
            time.sleep(random.uniform(0.0, 1.0))
    waits.sort()
    return [
        Row(name=f"new file to published, p95 of {ARRIVALS}", value=waits[int(0.95 * len(waits))],
            unit="s", goal=1, baseline="Dagster asks sensors each 30 s by default", runs=tuple(waits)),
        Row(name="new file to published, median", value=statistics.median(waits), unit="s"),
    ]  # fmt: skip


@contextmanager
def adopted_orphans() -> Iterator[None]:
    """Wait for what killed processes leave behind, so that others aren't said to have used its CPU time."""
    ctypes.CDLL(None).prctl(CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    ctypes.CDLL(None).prctl(CHILD_SUBREAPER, 0, 0, 0, 0)
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass


def kills(work: Path) -> list[Row]:
    """`kill -9` at random moments while days arrive: nothing lost, doubled or stuck."""
    chance, folder = random.Random(7), bakery(work, "kills")
    stuck = 0
    with adopted_orphans():
        for _ in range(KILLS):
            with supervised(folder) as up:
                up.says("working")
                if chance.random() < 0.3:
                    add_day(folder)
                time.sleep(chance.uniform(0.0, 2.5))
                up.end(signal.SIGKILL)
    done = subprocess.run(
        [PYTHON, "-P", "-m", "tidemill", "up", "--once"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    stuck += done.returncode not in (0, 4)
    days = {path.stem for path in (folder / "data" / "sales").glob("*.csv")}
    contents = publications(folder)
    lost = len(days - {key for stage, key, _ in contents if stage == "features"})
    doubled = sum(count - 1 for count in Counter(contents).values())
    verified = subprocess.run(
        [PYTHON, "-P", "-m", "tidemill", "verify"], cwd=folder, capture_output=True, check=False
    )
    lost += verified.returncode != 0
    return [
        Row(name=f"kill -9 at {KILLS} moments: lost", value=lost, unit="", goal=0),
        Row(name="the same: doubled", value=doubled, unit="", goal=0),
        Row(name="the same: stuck", value=stuck, unit="", goal=0),
    ]


def publications(folder: Path) -> list[tuple[str, str, str]]:
    """What was published: stages, partitions, and digests of contents."""
    ledger = SqliteLedger(folder / ".tidemill" / "ledger.db")
    with closing(ledger):
        return [
            (fact.event.stage, fact.event.partition, fact.event.binding.product.content)
            for fact in ledger.events(kinds=("Published",))
            if isinstance(fact.event, Published)
        ]


def listing(work: Path) -> list[Row]:
    """A source of 100,000 files: how long it takes to watch them, to list them, and what it needs."""
    folder = work / "listing"
    for number in range(FILES):
        place = folder / f"{number % 100:02}"
        if number < 100:
            place.mkdir(parents=True)
        (place / f"{number}.csv").touch()
    code = """
import json, sys, time
from tidemill.operations.io.watcher import FileWatcher
began = time.process_time()
watcher = FileWatcher({"sales": [sys.argv[1]]})
opened = time.process_time() - began
began = time.process_time()
assert not [*watcher.list_changes(0.0, 1.0, every=True)]
print(json.dumps({"open": opened, "list": time.process_time() - began, "watches": len(watcher._numbers)}))
"""
    done = subprocess.run(
        [PYTHON, "-P", "-c", code, str(folder / "*" / "*.csv")],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    shutil.rmtree(folder)
    return [
        Row(name=f"{FILES:,} files: list them once", value=found["list"], unit="s of CPU"),
        Row(name="the same: begin to watch them", value=found["open"], unit="s of CPU"),
        Row(
            name="the same: watches",
            value=found["watches"],
            unit="",
            baseline="one for each folder",
        ),
    ]


def growth(work: Path) -> list[Row]:
    """The bytes of a home after days that each change data, a sweep and a compaction."""
    found = inside(work, str(GROWTH_DAYS), script="inside_growth.py")
    return [
        Row(name=f"state after {GROWTH_DAYS} changed days and a sweep / one build",
            value=found["ratio_kept"], unit="x", goal=1.3, baseline="peers delete nothing"),
        Row(name="the same before the sweep", value=found["ratio_grown"], unit="x"),
        Row(name=f"state after {GROWTH_DAYS} changed days and a sweep", value=found["state_kept"] / 1e6,
            unit="MB", baseline=f"one build {found['state_built'] / 1e6:.2f} MB"),
        Row(name="the sweep and the compaction", value=found["upkeep_cpu_s"], unit="s of CPU"),
    ]  # fmt: skip


def anomalies(work: Path) -> list[Row]:
    """Alerts of quiet stages, and slow ones that are found, where latencies vary as usual and otherwise."""
    rows = []
    for regime in ("usual", "calm", "sticky", "outliers", "noisy"):
        quiet, slow = (
            inside(work, part, regime, str(STAGES), str(HISTORY), script="inside_anomalies.py")
            for part in ("quiet", "slow")
        )
        alerts, simple = (quiet[each] * 50 / STAGES for each in ("alerts", "simple"))
        # The goals are those of the usual regime; the others tell where they end.
        usual = regime == "usual"
        rows += [
            Row(name=f"{regime}: alerts in 90 quiet days of 50 stages", value=alerts, unit="",
                goal=1 if usual else None, baseline=f"over 4 deviations: {simple:.0f}"),
            Row(name=f"{regime}: twice as slow, found within 3 runs",
                value=slow["found"] / STAGES * 100, unit="%", goal=95 if usual else None, least=True),
        ]  # fmt: skip
    return rows


def parts(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """All parts by name."""
    return {
        name: partial(part, work)
        for name, part in {
            "idle": idle, "arrivals": arrivals, "kills": kills, "listing": listing,
            "growth": growth, "anomalies": anomalies,
        }.items()
    }  # fmt: skip


if __name__ == "__main__":
    drive("operations", sys.argv[1:], parts)
