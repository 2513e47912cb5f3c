"""The console: what a first look costs, how soon changes show, what the server needs, and how pages grow.

`python -m bench.console [PART...]` prints a table and writes results/console.json. Pages are opened in
Chromium (`python -m tools.browser`); the packages of npm have to be there (`python tools/console_assets.py`).
The part `pages-large` writes ten million events first, for an hour, and is measured only when it is named.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from bench.common import PYTHON, TIDEMILL, Row, drive, measure
from bench.console_clients import RunsClient
from bench.console_pages import page_costs
from bench.processes import children, cpu_s, resident
from tests.support.browser import FLAGS, axe_violations
from tests.support.running_console import RunningConsole
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.console.resources import NAVIGATION
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.ledger.event import RunEnded, RunStarted
from tidemill.ledger.run import Receipt, Status
from tools import browser, console_assets

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MB = 1 << 20
TIMES, UPDATES, CLIENTS, IDLE_S = 5, 40, 20, 60.0
# A slow phone: bits a second, milliseconds there and back, and a CPU of a quarter.
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 94_000}
SLOWER_CPU = 4
# From the start of a page to the moment when it follows what changes.
READY = "body[data-connected=true]"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser."""
    if reason := browser.missing() or console_assets.missing():
        sys.exit(reason)
    program = browser.find()
    assert program is not None
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=program, args=FLAGS, env={**browser.environment(program)}
        )
        yield found
        found.close()


def first_view(work: Path) -> list[Row]:
    """Bytes, requests and other hosts of a page that nobody has seen before."""
    with RunningConsole(_bakery(work)) as running, chromium() as found:
        page = found.new_context().new_page()
        seen: list[Any] = []
        page.on("requestfinished", lambda request: seen.append(request))
        page.goto(running.new_link())
        page.wait_for_selector(READY)
        sizes = [request.sizes() for request in seen]
        hosts = {request.url.split("/")[2] for request in seen} - {running.url.split("/")[2]}
    total = sum(each["responseBodySize"] + each["responseHeadersSize"] for each in sizes)
    return [
        Row(name="first view, compressed", unit="kB", value=total / 1e3, goal=100,
            baseline="887 NiceGUI, 164 a React build of a smaller page"),
        Row(name="requests of the first view", unit="", value=len(sizes), goal=10),
        Row(name="requests of the first view to other hosts", unit="", value=len(hosts), goal=0),
    ]  # fmt: skip


def interaction(work: Path) -> list[Row]:
    """Seconds until a page that nobody has seen answers: here, and on a slow phone."""
    with RunningConsole(_bakery(work)) as running, chromium() as found:
        near = [_opened(found, running, slow=False) for _ in range(TIMES)]
        far = [_opened(found, running, slow=True) for _ in range(3)]
    return [
        Row(name="until a new page can be used, on this machine", unit="ms", goal=400,
            value=statistics.median(near), runs=tuple(near), baseline="1,389 NiceGUI"),
        Row(name="the same with 1.6 Mbit/s, 150 ms and a quarter of the CPU", unit="ms", goal=1_500,
            value=statistics.median(far), runs=tuple(far), baseline="6,776 NiceGUI"),
    ]  # fmt: skip


def _opened(found: Browser, running: RunningConsole, *, slow: bool) -> float:
    """Milliseconds from the request for a page until it follows what changes."""
    first = found.new_context()
    first.new_page().goto(running.new_link())
    context = found.new_context(storage_state=first.storage_state())
    page = context.new_page()
    if slow:
        session = context.new_cdp_session(page)
        session.send("Network.emulateNetworkConditions", SLOW)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER_CPU})
    begun = time.perf_counter()
    page.goto(f"{running.url}/now", wait_until="commit")
    page.wait_for_selector(READY)
    took = (time.perf_counter() - begun) * 1e3
    first.close()
    context.close()
    return took


def live(work: Path) -> list[Row]:
    """How soon what is recorded shows in one page, in twenty of as many profiles, and in one among others.

    Twenty renderers share this machine with the server, so what both need is told; and the last is one page
    among clients that ask for all that pages ask for, but draw nothing.
    """
    folder = _bakery(work)
    with RunningConsole(folder) as running, chromium() as found:
        alone = _latencies(folder, [_following(found, running)])
        pages = [_following(found, running) for _ in range(CLIENTS)]
        before = _cpu_ms(running)
        together = _latencies(folder, pages)
        used = [now - then for now, then in zip(_cpu_ms(running), before, strict=True)]
        for page in pages:
            page.context.close()
        with ExitStack() as stack:
            others = [stack.enter_context(RunsClient(running)) for _ in range(CLIENTS - 1)]
            among = _latencies(folder, [_following(found, running)], others)
    events = len(together) / CLIENTS
    name = "from an event in the ledger to the page, p95"
    return [
        Row(name=f"{name}, 1 page open", unit="ms", goal=50, **_p95(alone)),
        Row(name=f"{name}, {CLIENTS} pages open", unit="ms", goal=150, **_p95(together)),
        Row(name=f"CPU of the server for an event, {CLIENTS} pages open", unit="ms", value=used[0] / events),
        Row(name=f"CPU of Chromium for an event, {CLIENTS} pages open", unit="ms", value=used[1] / events),
        Row(name=f"{name}, 1 page and {CLIENTS - 1} clients that draw nothing", unit="ms", goal=150,
            **_p95(among)),
        Row(name="the same of these clients", unit="ms", goal=150,
            **_p95([at for other in others for at in other.took])),
    ]  # fmt: skip


def _p95(took: list[float]) -> dict[str, Any]:
    return {
        "value": sorted(took)[int(len(took) * 0.95)],
        "baseline": f"median {statistics.median(took):.0f}",
    }


def _cpu_ms(running: RunningConsole) -> tuple[float, float]:
    """The CPU time that the server has had, and that of the browser."""
    browsers = [pid for pid in children(os.getpid()) if "chrom" in _command_of(pid)]
    return cpu_s(running.process.pid) * 1e3, sum(map(cpu_s, browsers)) * 1e3


# Notes when the row of a run is there, in milliseconds of the system's clock.
_OBSERVE = """() => {
  const root = document.documentElement;
  new MutationObserver(() => {
    const run = root.dataset.awaited;
    if (run && document.querySelector(`a[href*="${run}"]`)) {
      root.dataset.shown ??= String(performance.timeOrigin + performance.now());
    }
  }).observe(document.body, { subtree: true, childList: true, attributes: true });
}"""
_AWAIT = """run => {
  const root = document.documentElement;
  delete root.dataset.shown;
  root.dataset.awaited = run;
}"""


def _following(found: Browser, running: RunningConsole) -> Page:
    page = found.new_context().new_page()
    page.goto(running.new_link())
    page.goto(f"{running.url}/runs")
    page.wait_for_selector(READY)
    page.evaluate(_OBSERVE)
    return page


def _latencies(folder: Path, pages: list[Page], others: Sequence[RunsClient] = ()) -> list[float]:
    """Milliseconds from when an event is committed until each page shows it."""
    found = []
    for number in range(UPDATES // max(1, len(pages) // 5)):
        run = f"bench-{os.getpid()}-{number}-{time.time_ns()}"
        for page in pages:
            page.evaluate(_AWAIT, run)
        for other in others:
            other.awaited = run
        time.sleep(0.4)
        recorded = _record_run(folder, run)
        # Who asks pages whether they are ready takes time from them.
        time.sleep(0.2)
        for page in pages:
            page.wait_for_selector("html[data-shown]")
            shown = page.evaluate("document.documentElement.dataset.shown")
            found.append(float(shown) - recorded)
        for other in others:
            other.note_shown(recorded)
    return found


def _record_run(folder: Path, run: str) -> float:
    """Record a run; when that was committed, in milliseconds of the system's clock."""
    ledger = SqliteLedger(folder / ".tidemill" / "ledger.db")
    started = RunStarted(run=run, environment="bakery/prod", command="bench", holder={}, steps=0)
    ended = RunEnded(run=run, status=Status.OK, receipt=Receipt(run=run, status=Status.OK))
    ledger.append([started, ended], now=time.time())
    committed = time.time() * 1e3
    ledger.close()
    return committed


def server(work: Path) -> list[Row]:
    """The memory of the server, idle and with twenty pages open."""
    with RunningConsole(_bakery(work)) as running, chromium() as found:
        page = _following(found, running)
        time.sleep(1.0)
        idle = resident(running.process.pid)
        pages = [_following(found, running) for _ in range(CLIENTS)]
        for _, parts, _ in NAVIGATION[:4]:
            page.goto(f"{running.url}/{'/'.join(parts)}")
        busy = resident(running.process.pid)
        del pages
    return [
        Row(name="memory of the server with one page open", unit="MiB", value=idle / MB, goal=60,
            baseline="86 NiceGUI"),
        Row(name=f"more of it with {CLIENTS} pages open", unit="MiB", value=(busy - idle) / MB, goal=10,
            baseline="158 NiceGUI"),
    ]  # fmt: skip


def layout(work: Path) -> list[Row]:
    """A graph of 1,000 stages."""
    chance = random.Random(7)
    names = [f"stage_{number}" for number in range(1_000)]
    edges = {(names[max(0, i - chance.randint(1, 12))], names[i]) for i in range(1, 1_000)}
    while len(edges) < 1_500:
        one, other = sorted(chance.sample(range(1_000), 2))
        edges.add((names[one], names[other]))
    graph = Graph(nodes=[Node(name=name, label=name) for name in names], edges=sorted(edges))
    took = []
    for _ in range(3):
        begun = time.process_time()
        draw_graph(graph)
        took.append((time.process_time() - begun) * 1e3)
    return [
        Row(name="layout of 1,000 stages with 1,500 edges, CPU", unit="ms", goal=250,
            value=statistics.median(took), runs=tuple(took), baseline="25,045 dagre"),
    ]  # fmt: skip


def access(work: Path) -> list[Row]:
    """What axe finds on all pages in both themes."""
    count = 0
    with RunningConsole(_bakery(work)) as running, chromium() as found:
        for theme in ("light", "dark"):
            for width, height in ((1440, 900), (390, 844)):
                page = found.new_context(
                    color_scheme=theme, viewport={"width": width, "height": height}
                ).new_page()
                page.goto(running.new_link())
                for _, parts, _ in NAVIGATION:
                    page.goto(f"{running.url}/{'/'.join(parts)}")
                    count += len(axe_violations(page))
    return [
        Row(name=f"violations of axe on {len(NAVIGATION)} pages, 2 themes, 2 widths", unit="",
            value=count, goal=0, baseline="2 serious NiceGUI"),
    ]  # fmt: skip


def wheel(work: Path) -> list[Row]:
    """The size of the wheel."""
    into = work / "wheel"
    root = Path(__file__).parents[1]
    measure([PYTHON, "-m", "hatchling", "build", "-t", "wheel", "-d", into], root)
    [found] = into.iterdir()
    return [Row(name="the wheel", unit="MB", value=found.stat().st_size / 1e6, goal=2)]


def idle_up(work: Path) -> list[Row]:
    """What `tidemill up` needs with the console open in a browser and nothing to do."""
    folder = _bakery(work)
    log = folder.parent / "up.log"
    with log.open("wb") as file, chromium() as found:
        up = subprocess.Popen(
            [PYTHON, "-P", "-m", "tidemill", "up", "--console"],
            cwd=folder,
            stdout=file,
            stderr=file,
        )
        try:
            while "console: http" not in log.read_text():
                time.sleep(0.1)
            link = measure([TIDEMILL, "console", "--link"], folder).out.strip()
            page = found.new_page()
            page.goto(link)
            page.wait_for_selector(READY)
            time.sleep(10)
            console = [pid for pid in children(up.pid) if "console" in _command_of(pid)]
            before = sum(map(cpu_s, [up.pid, *console]))
            time.sleep(IDLE_S)
            used = sum(map(cpu_s, [up.pid, *console])) - before
            memory, others = resident(up.pid), sum(map(resident, console))
        finally:
            up.terminate()
            up.wait()
    return [
        Row(name="memory of the idle supervisor, console open", unit="MB", value=memory / 1e6, goal=60,
            baseline="luigid 27, Prefect 216, Dagster 528, MLflow 1,209"),
        Row(name="CPU of the supervisor and the console while idle", unit="%", goal=0.5,
            value=used / IDLE_S * 100),
        Row(name="memory of the console beside it", unit="MB", value=others / 1e6),
    ]  # fmt: skip


def _command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _bakery(work: Path) -> Path:
    folder = work / "bakery"
    if not folder.exists():
        measure([PYTHON, "-m", "tidemill", "init", folder], work)
        measure([TIDEMILL, "run"], folder)
    return folder


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    parts = (first_view, interaction, live, server, layout, access, wheel, idle_up)
    found = {part.__name__: lambda part=part: part(work) for part in parts}
    pages = {
        "pages": partial(page_costs, 1_000_000),
        "pages-large": partial(page_costs, 10_000_000),
    }
    return {**found, **pages}


if __name__ == "__main__":
    drive("console", sys.argv[1:], parts_of, asked=("pages-large",))
