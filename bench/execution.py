"""The process lane against its goals: `python -m bench.execution [PART...]`. Linux only, some 5 minutes.

What a task costs beside the pools of the standard library and of loky, in the same process and in turns;
what is held while there is work now and then; what kills of workers and of their parent leave behind;
and what a served model's users notice of training beside it. Processes are counted in /proc.

Prints a table and writes it to `results/execution.json`; with names of parts, only those are measured,
and saved only with `--save`. Nothing fails when a goal is missed.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.common import PYTHON, ROOT, Row, drive, measure, others_share

POOL = "ProcessPoolExecutor (spawn)"
LOKY = f"loky {version('loky')}"


def job(name: str, *arguments: str | Path) -> dict[str, Any]:
    """What a job of `inside_lane` tells, in a process of its own."""
    command = [PYTHON, "-m", "bench.inside_lane", name, *arguments]
    found = json.loads(measure(command, ROOT).out.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def worst(name: str, runs: Sequence[float], unit: str, goal: float, baseline: str = "") -> Row:
    """A row of the greatest of some measurements."""
    return Row(
        name=name, value=max(runs), unit=unit, goal=goal, baseline=baseline, runs=tuple(runs)
    )


def none(name: str, value: float, baseline: str = "") -> Row:
    """A row of what there may be none of."""
    return Row(name=name, value=value, unit="", goal=0, baseline=baseline)


def overhead() -> list[Row]:
    """A task that does nothing, one at a time."""
    found = job("overhead")
    wall, cpu = found["wall_ms"], found["cpu_ms"]
    name = "no-op and back, timeout + memory cap + metering on"
    return [
        Row(name=f"{name}: median", value=wall["lane"], unit="ms", goal=0.3,
            baseline=f"{POOL} {wall['pool']:.2f}, {LOKY} {wall['loky']:.2f}"),
        Row(name=f"{name}: CPU of all processes", value=cpu["lane"], unit="ms", goal=0.15,
            baseline=f"{POOL} {cpu['pool']:.2f}, {LOKY} {cpu['loky']:.2f}"),
        Row(name=name, value=wall["lane"] / wall["pool"], unit="x", goal=1.2,
            baseline=f"{POOL}, in turns"),
        Row(name=f"{name}: CPU", value=cpu["lane"] / cpu["pool"], unit="x",
            baseline=f"{POOL}, in turns"),
    ]  # fmt: skip


def tiny() -> list[Row]:
    """Ten thousand tasks that do nothing."""
    found = job("tiny")
    rates = {name: statistics.median(each) for name, each in found["rates"].items()}
    cpu = found["cpu_ms"]
    name = "10,000 no-ops, handed in at once"
    return [
        Row(name=name, value=rates["lane"], unit="/s", goal=8000, least=True,
            baseline=f"{POOL} {rates['pool']:.0f}, {LOKY} {rates['loky']:.0f}",
            runs=tuple(found["rates"]["lane"])),
        Row(name=f"{name}: rate", value=rates["lane"] / rates["pool"], unit="x", baseline=POOL),
        Row(name=f"{name}: rate", value=rates["lane"] / rates["loky"], unit="x", baseline=LOKY),
        Row(name=f"{name}: CPU of one", value=cpu["lane"], unit="ms",
            baseline=f"{POOL} {cpu['pool']:.2f}, {LOKY} {cpu['loky']:.2f}"),
    ]  # fmt: skip


def table(work: Path) -> list[Row]:
    """A table of 100 MB for 8 tasks, as a path; workers have imported what they need."""
    found = job("table", work)
    pickled = statistics.median(found["pool"])
    copy = f"a copy would be {found['bytes'] / 1e6:.0f}"
    name = "100 MB table, added up by 8 tasks"

    def took(way: str, told: str, goal: float | None = None) -> Row:
        runs = found[way]["took_s"]
        against = f"{pickled:.2f} s pickled through {POOL}"
        return Row(name=f"{name}: {told}", value=statistics.median(runs), unit="s", goal=goal,
                   baseline=against, runs=tuple(runs))  # fmt: skip

    def grown(way: str, told: str, goal: float | None = None) -> Row:
        return Row(name=f"{name}: {told}, private memory more", value=found[way]["grown"] / 1e6,
                   unit="MB", goal=goal, baseline=copy)  # fmt: skip

    return [
        took("arrow", "Arrow IPC, scanned", 0.25),
        grown("arrow", "Arrow IPC, scanned"),
        took("mapped", ".npy, memory-mapped", 0.25),
        grown("mapped", ".npy, memory-mapped", 1.0),
        # Polars 2 no longer maps files: read at once, they are copied.
        took("eager", "Arrow IPC, read at once"),
        grown("eager", "Arrow IPC, read at once"),
        took("parquet", "Parquet, scanned"),
        grown("parquet", "Parquet, scanned"),
        Row(name=f"{name}: writing the Arrow IPC file", value=found["written_s"], unit="s"),
    ]


def bursts() -> list[Row]:
    """Work now and then: 3 bursts of 40 sleeps of 0.25 s, 20 s from start to start, at most 4 workers."""
    found = {
        "lane": job("bursts", "lane", "1"),
        "same": job("bursts", "loky", "1"),
        "default": job("bursts", "loky", "10"),
    }
    used = {name: each["busy_s"] / each["held_s"] for name, each in found.items()}
    name = "3 bursts x 40 x 0.25 s, 20 s apart: busy / held"
    told = {
        "default": f"{LOKY}, its default timeout of 10 s: {used['default']:.2f}",
        "same": f"{LOKY}, its timeout set to 1 s, as idle_s: {used['same']:.2f}",
    }
    held = f"{found['lane']['held_s']:.1f} worker-s held; idle_s 1"
    return [
        Row(name=name, value=used["lane"], unit="", goal=0.6, least=True, baseline=held),
        *(Row(name=name, value=used["lane"] / used[other], unit="x", goal=1.5, least=True,
              baseline=against) for other, against in told.items()),
        Row(name="a burst, the slowest (2.5 s of work)", value=max(found["lane"]["took_s"]),
            unit="s", baseline=f"{LOKY} {max(found['same']['took_s']):.2f}",
            runs=tuple(found["lane"]["took_s"])),
    ]  # fmt: skip


def growth() -> list[Row]:
    """From no workers to four, and back."""
    found = job("growth")
    pool, loky = (statistics.median(found[f"{name}_up_s"]) for name in ("pool", "loky"))
    grown = f"{found['grown'] / 1e6:.0f} MB more while 4 workers held 200 MB each"
    return [
        worst("0 to 4 workers at work, the slowest", found["up_s"], "s", 1.0,
              f"{POOL} {pool:.2f}, {LOKY} {loky:.2f}"),
        worst("last answer to no process left, the slowest", found["down_s"], "s",
              found["idle_s"] + 0.2, f"idle_s {found['idle_s']:g}"),
        Row(name="memory kept then, of lane and workers", value=found["kept"] / 1e6, unit="MB",
            goal=20, baseline=grown),
    ]  # fmt: skip


def recovery() -> list[Row]:
    """A worker that is killed."""
    found = job("recovery")
    return [
        worst("kill -9 until the next task is at work in a new worker, the slowest",
              found["again_s"], "s", 0.2),
        none("kill -9: other tasks disturbed", found["disturbed"],
             f"{LOKY}: {found['loky']} of 19"),
        Row(name="kill -9 until it is told", value=statistics.median(found["told_s"]) * 1000,
            unit="ms"),
    ]  # fmt: skip


def chaos(work: Path) -> list[Row]:
    """Workers killed at random, starting ones too; what is lost is handed in again, as a run does."""
    return [
        *_chaos("tasks of 10 ms", job("chaos", work, "publish")),
        # Here many a kill comes between the task's file and the answer that tells of it.
        *_chaos("tasks of no time", job("chaos", work, "publish_at_once")),
    ]


def _chaos(what: str, found: Mapping[str, Any]) -> list[Row]:
    name = f"chaos, {found['kills']} kills over 1,000 {what}"
    reasons = ", ".join(f"{reason} {count}" for reason, count in found["reasons"].items())
    told = f"{found['attempts']} attempts in {found['took_s']:.0f} s"
    return [
        none(f"{name}: attempts without exactly one final event", found["not_once"], told),
        none(f"{name}: tasks lost", found["lost"]),
        none(f"{name}: tasks published twice", found["doubled"]),
        none(f"{name}: files of attempts that weren't OK, or missing", found["unlike"]),
        none(f"{name}: files that aren't whole", found["broken"]),
        none(f"{name}: attempts not OK whose worker wasn't killed", found["disturbed"], reasons),
    ]


def leaks(work: Path) -> list[Row]:
    """What is left of 10,000 tasks, and of a parent that is killed."""
    found, killed = job("leaks"), job("orphans", work)
    before, after = found["before"], found["after"]
    name = "10,000 tasks, 20 of which raise and 20 end their worker"
    parent = f"of {killed['there']} processes of a parent that was killed"
    return [
        none(f"{name}: descriptors more", after["descriptors"] - before["descriptors"]),
        none(f"{name}: threads more", after["threads"] - before["threads"]),
        Row(name=f"{name}: memory more", value=(after["resident"] - before["resident"]) / 1e6,
            unit="MB", goal=2, baseline=f"{before['resident'] / 1e6:.0f} MB after 2,000 tasks"),
        none(f"{name}: zombies", found["zombies"]),
        none(f"{name}: processes left when the lane was closed", found["left"]),
        none("orphans: workers", killed["workers"], parent),
        none("orphans: processes that tasks had started", killed["users"], parent),
        Row(name="parent killed until none was left, or given up", value=killed["took_s"],
            unit="s"),
    ]  # fmt: skip


def serving(work: Path) -> list[Row]:
    """A small model behind HTTP, 100 requests a second, and training that wants every core."""
    found = job("serving", work)
    latencies, trees = found["latencies"], found["trees"]
    alone, beside, behind = (latencies[name] for name in ("alone", "default", "training"))
    name = "p99 of a served model"
    return [
        Row(name=f"{name}, alone", value=alone["p99"], unit="ms", baseline=_told(alone)),
        Row(name=f"{name}, beside training at niceness 0", value=beside["p99"], unit="ms",
            baseline=_told(beside)),
        Row(name=f"{name}, beside training at niceness 10", value=behind["p99"], unit="ms",
            baseline=_told(behind)),
        Row(name=f"{name}, beside training at niceness 10", value=behind["p99"] / alone["p99"],
            unit="x", baseline="alone"),
        Row(name=f"{name}, beside training at niceness 10", value=behind["p99"] / beside["p99"],
            unit="x", baseline="beside training at niceness 0"),
        Row(name="trees a second at niceness 10, while the model is served",
            value=trees["training"], unit="/s",
            baseline=f"{trees['default']:.1f} at niceness 0, {trees['unserved']:.1f} at 10 unserved"),
    ]  # fmt: skip


def _told(found: Mapping[str, float]) -> str:
    return f"p50 {found['p50']:.2f}, at most {found['max']:.1f}"


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    parts: dict[str, Callable[[], list[Row]]] = {
        "overhead": overhead,
        "tiny": tiny,
        "table": partial(table, work),
        "bursts": bursts,
        "growth": growth,
        "recovery": recovery,
        "chaos": partial(chaos, work),
        "leaks": partial(leaks, work),
        "serving": partial(serving, work),
    }
    return {name: partial(_beside_others, name, part) for name, part in parts.items()}


def _beside_others(name: str, part: Callable[[], list[Row]]) -> list[Row]:
    """The rows of a part, and how busy others kept the machine meanwhile: figures suffer from that."""
    with others_share() as percent:
        rows = part()
    told = f"others' share of all CPU time while {name} was measured"
    return [*rows, Row(name=told, value=percent(), unit="%")]


if __name__ == "__main__":
    drive("execution", sys.argv[1:], parts_of)
