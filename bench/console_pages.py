"""What the server of the console needs for each page of a large project, and what its processes hold."""

from __future__ import annotations

import http.client
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

from bench.common import Row
from bench.large_project import IDLE_S, PARTITIONS, RUN, SIZE, STAGE, WORKFLOW, large_project
from bench.processes import children, cpu_s, resident
from tests.support.running_console import RunningConsole
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.console.resources import NAVIGATION
from tidemill.ledger.event import RunEnded, RunStarted
from tidemill.ledger.run import Receipt, Status
from tidemill.project.clock import VARIABLE, read_clock, set_clock

TIMES, MB = 5, 1 << 20
# An answer is shared for a second; what was recorded is seen within a fraction of one.
_LOOK_S = 1.1
# With names of pages in it, only these are measured.
CHOSEN = "TIDEMILL_CONSOLE_PAGES"


def page_costs(events: int) -> list[Row]:
    """CPU of the server for each page, asked again after something was recorded; and its memory."""
    chosen = os.environ.get(CHOSEN, "").split()
    folder, clock = large_project(events)
    os.environ[VARIABLE] = str(clock)
    try:
        with RunningConsole(folder) as running:
            client = _Client(running, folder, clock)
            paths = {name: path for name, path in _paths().items() if not chosen or name in chosen}
            size = f"{events:,} events, {SIZE} stages, {SIZE * PARTITIONS:,} partitions"
            rows = [
                row
                for name, path in paths.items()
                for row in client.measure(f"{name}, {size}, CPU", path)
            ]
            return [*rows, *_memory(running)]
    finally:
        del os.environ[VARIABLE]


def _paths() -> dict[str, str]:
    found = {name: "/" + "/".join(map(quote, parts)) for name, parts, _ in NAVIGATION}
    return {
        **found,
        "a run of 100,000 steps": f"/runs/{RUN}",
        "its log": f"/runs/{RUN}/log",
        "a stage": f"/stages/{STAGE}",
        "its partitions": f"/stages/{STAGE}/partitions",
        "the graph around it": f"/workflow?around={STAGE}",
        "lineage around it": f"/lineage?stage={STAGE}",
    }


class _Client:
    """Asks a running console for pages of the project in a folder."""

    def __init__(self, running: RunningConsole, folder: Path, clock: Path) -> None:
        self._ledger, self._clock = folder / ".tidemill" / "ledger.db", clock
        self._running = running
        link = urlsplit(running.new_link())
        self._host = link.netloc
        _, headers, _ = self._get(f"{link.path}?{link.query}", "")
        self._cookie = headers["set-cookie"].split(";")[0]

    def measure(self, name: str, path: str) -> Iterator[Row]:
        """Rows of a page: the first call, and later ones."""
        first, size = self._ask(path, is_patient=True)
        later = [self._ask(path) for _ in range(TIMES)]
        took = tuple(each for each, _ in later)
        size = later[-1][1]
        yield Row(
            name=name,
            unit="ms",
            goal=100,
            value=statistics.median(took),
            runs=took,
            baseline=f"{first:.0f} for the first call; {size / 1e3:.0f} kB",
        )

    def _ask(self, path: str, *, is_patient: bool = False) -> tuple[float, int]:
        """CPU milliseconds and bytes of a page, a moment after something was recorded.

        Whoever is patient asks again while it can't be told yet, since events are read for the first time.
        """
        self._record()
        time.sleep(_LOOK_S)
        before = self._cpu_s()
        status, _, size = self._get(path, self._cookie)
        while is_patient and status == 503:
            status, _, size = self._get(path, self._cookie)
        if status != 200:
            raise RuntimeError(f"{path}: {status}")
        # A view process that was idle for too long may have ended meanwhile.
        spent = (each - before.get(process, 0.0) for process, each in self._cpu_s().items())
        return sum(spent) * 1e3, size

    def _cpu_s(self) -> dict[int, float]:
        console = self._running.process.pid
        return {process: cpu_s(process) for process in (console, *children(console))}

    def _get(self, path: str, cookie: str) -> tuple[int, dict[str, str], int]:
        connection = http.client.HTTPConnection(self._host, timeout=300)
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, len(body)

    def _record(self) -> None:
        """A run without work, a moment later."""
        now = read_clock(self._clock) + _LOOK_S
        set_clock(self._clock, now)
        run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{os.getpid() % 0xFFFFFF:06x}"
        ledger = SqliteLedger(self._ledger)
        started = RunStarted(
            run=run, environment=f"{WORKFLOW}/prod", command="bench", holder={}, steps=0
        )
        ended = RunEnded(run=run, status=Status.OK, receipt=Receipt(run=run, status=Status.OK))
        ledger.append([started, ended], now=now)
        ledger.close()


def _memory(running: RunningConsole) -> list[Row]:
    console = running.process.pid
    views = [*children(console)]
    found = [
        Row(name="memory of the console", unit="MiB", value=resident(console) / MB),
        Row(name="memory of its view processes", unit="MiB", value=sum(map(resident, views)) / MB),
    ]
    # Whether any is idle for long enough is looked at now and then.
    time.sleep(IDLE_S + 15.0)
    return [
        *found,
        Row(
            name="view processes of an idle console",
            unit="",
            goal=0,
            value=len([*children(console)]),
        ),
    ]
