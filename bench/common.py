"""Measure processes, and say what was measured on which machine.

Everything that is measured runs in a process of its own, so this one stays small: what a process
reports as its peak memory starts with that of the process that began it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.processes import TICKS, children, of_variable, spent_s

BENCH = Path(__file__).parent
ROOT, RESULTS = BENCH.parent, BENCH / "results"
# Others may use so much of the machine, in percent, before it isn't quiet.
QUIET = 5.0
# By so much may a figure differ between sittings before what is measured has to be another.
MOST_NOISE = 0.5
PYTHON = sys.executable
TIDEMILL = str(Path(sys.executable).with_name("tidemill"))
# Whatever a benchmark starts has this variable, by which it is told from others.
MARK = "TIDEMILL_BENCHMARK"
os.environ.setdefault(MARK, str(os.getpid()))
# Among the parts that are chosen, it says that their rows are saved beside the others.
SAVE = "--save"


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a process and its descendants used; seconds and bytes."""

    wall_s: float
    cpu_s: float
    peak_rss: int
    out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured figure. `goal` is the most that it may be (None: told, not judged); `least`: the least.

    `baseline` says in words what it is held against, `runs` are the single measurements, `part` is the part
    of the benchmark that measured it.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    baseline: str = ""
    runs: tuple[float, ...] = ()
    least: bool = False
    part: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.value >= self.goal if self.least else self.value <= self.goal


def measure(
    command: Sequence[str | Path],
    folder: Path,
    *,
    code: int = 0,
    variables: Mapping[str, str] | None = None,
) -> Used:
    """Run a command in `folder` to its end; RuntimeError when it ends with another exit code."""
    environment = {**os.environ, **(variables or {})}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], cwd=folder, env=environment, stdout=out, stderr=err
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text, errors = out.read().decode(), err.read().decode()
    if process.returncode != code:
        raise RuntimeError(f"{command} ended with {process.returncode}, not {code}: {errors}")
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Used(wall_s=wall, cpu_s=used.ru_utime + used.ru_stime, peak_rss=peak, out=text)


def alternate(times: int, *actions: Callable[[], Used]) -> list[list[Used]]:
    """What each action used, `times` times; in turns, so that a slow minute hits all of them."""
    rounds = [[action() for action in actions] for _ in range(times)]
    return [list(found) for found in zip(*rounds, strict=True)]


def cpu(found: Sequence[Used]) -> float:
    """The median of the CPU seconds."""
    return statistics.median(each.cpu_s for each in found)


def wall(found: Sequence[Used]) -> float:
    """The median of the wall seconds."""
    return statistics.median(each.wall_s for each in found)


def inside(
    folder: Path,
    *arguments: str,
    script: str = "inside.py",
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a script of this folder reports from a fresh process in `folder`."""
    report = measure([PYTHON, BENCH / script, *arguments], folder, variables=variables).out
    found = json.loads(report.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def drive(
    name: str,
    chosen: Sequence[str],
    parts_of: Callable[[Path], Mapping[str, Callable[[], list[Row]]]],
    *,
    asked: Sequence[str] = (),
) -> None:
    """Measure all parts in a folder of their own, and save them; or only those that are chosen.

    The parts `asked` are measured only when they are among the chosen. Rows of chosen parts are saved beside
    the others if all of them are such ones, or with `--save`.
    """
    saved, chosen = SAVE in chosen, [part for part in chosen if part != SAVE]
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        work = Path(folder)
        parts = parts_of(work)
        if unknown := set(chosen) - set(parts):
            sys.exit(f"no part {', '.join(unknown)}; there are {', '.join(parts)}")
        about = machine(work)
        measured = [*chosen] or [part for part in parts if part not in asked]
        rows: list[Row] = []
        with others_share() as others_percent:
            for part in measured:
                print(f"... {part}", file=sys.stderr, flush=True)
                rows += [replace(row, part=part) for row in parts[part]()]
        about["others_percent"] = round(others_percent(), 1)
    show(about, rows)
    if not chosen:
        save(name, about, rows, parts, kept=asked)
    elif saved or {*chosen} <= {*asked}:
        save(name, about, rows, parts, kept={*parts, ""} - {*chosen})


def machine(folder: Path) -> dict[str, Any]:
    """What the figures depend on; `folder` is where the work is done."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": measure(["stat", "-f", "-c", "%T", folder], folder).out.strip(),
        "fsync_ms": round(_fsync_ms(folder), 2),
        "pace_ms": round(_pace_ms(), 2),
        # What else the machine does: with much over 0, the wall times are those of a busy machine.
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("polars", "numpy", "lightgbm", "tidemill")},
    }


@contextmanager
def others_share() -> Iterator[Callable[[], float]]:
    """Measure, within a `with` statement, what others use of this machine's CPU time, in percent.

    Others are processes that weren't started for the benchmark. 0 where the system doesn't tell.
    """
    before, found = _cpu_times(), 0.0
    yield lambda: found
    total, busy, own = (now - then for now, then in zip(_cpu_times(), before, strict=True))
    found = 100 * max(0.0, busy - own) / total if total else 0.0


def _cpu_times() -> tuple[float, float, float]:
    """CPU seconds that all cores had so far, those in which they worked, and those of the benchmark."""
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    try:
        line = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return 0.0, 0.0, own
    spent = [int(each) / TICKS for each in line.split()[1:9]]
    return sum(spent), sum(spent) - spent[3] - spent[4], own + _started_cpu_s()


def _started_cpu_s() -> float:
    """CPU seconds of all that the benchmark started, and that wasn't waited for yet.

    Servers leave the tree of the process that starts them.
    """
    started = {*children(os.getpid()), *of_variable(MARK, os.environ[MARK])} - {os.getpid()}
    return sum(map(spent_s, started))


def save(
    name: str,
    about: Mapping[str, Any],
    rows: Sequence[Row],
    parts: Iterable[str],
    *,
    kept: Collection[str],
) -> None:
    """Write the rows with the machine to `results/NAME.json`, beside those of the parts that are `kept`.

    They are in the order of the parts. Each has its noise: the share by which its runs, and those of earlier
    sittings, differed. The machine is as quiet as it was for the loudest of them.
    """
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    earlier: dict[str, Any] = {"machine": {}, "rows": []}
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
    measured, new = {row.part for row in rows}, {row.name for row in rows}
    known = numbered(row for row in earlier["rows"] if row.get("part", "") in {*measured, ""})
    told = [
        {**row, "noise": max(known.get(key, {}).get("noise", 0.0), _spread(row))}
        for key, row in numbered({**_rounded(row), "holds": row.holds} for row in rows).items()
    ]
    # Rows that were saved before parts were named are known by their names only.
    left = [
        row
        for row in earlier["rows"]
        if row.get("part", "") in kept and (row.get("part") or row["name"] not in new)
    ]
    order = {part: place for place, part in enumerate(parts)}
    told = sorted([*left, *told], key=lambda row: order.get(row.get("part", ""), -1))
    if left:
        others = max(about["others_percent"], earlier["machine"].get("others_percent", 0.0))
        about = {**about, "others_percent": others}
    body = {"machine": about, "rows": told}
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")


def show(about: Mapping[str, object], rows: Sequence[Row]) -> None:
    """Print the machine and a table; `of goal` is the value as a share of the goal."""
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"\n{'':5} {'value':>9} {'unit':6} {'goal':>6} {'of goal':>8}  what (against what)")
    for row in rows:
        mark = {True: "ok", False: "UNDER" if row.least else "OVER", None: ""}[row.holds]
        goal = "" if row.goal is None else f"{row.goal:g}"
        share = f"{row.value / row.goal:.2f} x" if row.goal else ""
        against = f" ({row.baseline})" if row.baseline else ""
        value = f"{row.value:.3g}" if row.value < 1000 else f"{row.value:.0f}"
        print(f"{mark:5} {value:>9} {row.unit:6} {goal:>6} {share:>8}  {row.name}{against}")


def _rounded(row: Row) -> dict[str, object]:
    told = asdict(row)
    told["value"] = float(f"{row.value:.4g}")
    told["runs"] = [float(f"{each:.4g}") for each in row.runs]
    return told


def numbered(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Rows by their name, and by how many of that name come before."""
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    seen = Counter[str]()
    for row in rows:
        found[row["name"], seen[row["name"]]] = row
        seen[row["name"]] += 1
    return found


def _spread(row: Mapping[str, Any]) -> float:
    """Half of the range of the runs of a row, as a share of its figure."""
    runs, value = row["runs"], row["value"]
    if len(runs) < 2 or value <= 0:
        return 0.0
    return min(MOST_NOISE, float(round((max(runs) - min(runs)) / 2 / value, 3)))


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def _pace_ms() -> float:
    """How long some plain Python takes here: machines whose processors have one name differ by half."""
    took = []
    for _ in range(30):
        started = time.thread_time()
        names = {str(number): number for number in range(20_000)}
        sum(names[str(number)] for number in range(0, 20_000, 2))
        took.append(time.thread_time() - started)
    return min(took) * 1000


def _fsync_ms(folder: Path) -> float:
    """How long forcing 4 kB to the disk takes here; every commit pays it."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(100):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000
