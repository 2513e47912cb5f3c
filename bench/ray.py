"""What a Ray cluster costs: `python -m bench.ray [PART...]`, on nodes that are processes of this machine.

Small tasks a second; what is held after the last one, counted in /proc, also where a node was added for it;
how soon tasks of a killed node run elsewhere; a first run of small steps, which go to Ray until it is known
how small they are, beside the same here; and workflows of very many small partitions. The nodes share the
CPUs. Prints a table and writes it to results/ray.json. Needs `make .venv/.ray`.
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench import projects
from bench.common import TIDEMILL, Row, Used, cpu, drive, inside, measure, wall
from tidemill.adapters.clusters.cluster_executor import ClusterExecutor, ClusterTerms
from tidemill.adapters.clusters.cluster_worker import WorkerTerms
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.ports.execution import Fate
from tidemill.testing.suites.executor import run_tasks, task, wait_until_started
from tools import ray_cluster

TASKS, ROUNDS, IDLE_S, NODE_IDLE_S, STEPS = 3_000, 5, 1.0, 3.0, 144
_LIMITS = "resources=tm.resources(cpus=1, memory='2GB')"
# Small partitions of a stage without limits, and of one whose steps may go to Ray from the first.
SMALL, LIMITED = 100_000, 10_000
_SMALL = """
import polars as pl

import tidemill as tm


class Raw(tm.Contract, key=("name", "id")):
    name = tm.String(partition="value")
    id = tm.Int64(min=0)
    value = tm.Float64()


class Halves(tm.Contract, key=("name", "id")):
    name = tm.String(partition="value")
    id, value = Raw.id, Raw.value


flow = tm.Workflow("small")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/raw.parquet")


@flow.transform(LIMITS)
def halves(raw: tm.Frame[Raw]) -> tm.Frame[Halves]:
    return raw.with_columns(value=pl.col("value") / 2)
"""


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "tasks": _tasks,
        "recovery": _recovery,
        "growth": _growth,
        "workflow": lambda: _workflow(work),
        "small": lambda: _small(work, SMALL, ""),
        "limited": lambda: _small(work, LIMITED, _LIMITS),
    }


def _executor(cluster: ray_cluster.Cluster, workers: int) -> ClusterExecutor:
    os.environ.update(cluster.environment)
    # Ray reads where its nodes are found when it is imported.
    from tidemill.adapters.ray.cluster import RayCluster

    terms = ClusterTerms(workers=workers, default=WorkerShape(cpus=1), idle_s=IDLE_S)
    asked = WorkerTerms(idle_s=IDLE_S, admit=lambda facts, unpack: ({}, ""))
    return ClusterExecutor(RayCluster(cluster.address), terms, asked)


def _tasks() -> list[Row]:
    with ray_cluster.cluster(num_cpus=2) as cluster:
        executor = _executor(cluster, 2)
        began = time.perf_counter()
        run_tasks(executor, task("first"))
        first = time.perf_counter() - began
        rates, held = [], []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            run_tasks(executor, *(task(str(number)) for number in range(TASKS)))
            ended = time.perf_counter()
            rates.append(TASKS / (ended - began))
            while _workers(cluster.nodes.values()):
                time.sleep(0.02)
            held.append(time.perf_counter() - ended)
            run_tasks(executor, task("again"))
        executor.close()
    return [
        Row(name=f"{TASKS:,} no-ops on two workers of one CPU", unit="/s", goal=1_000, least=True,
            value=statistics.median(rates), runs=tuple(rates)),
        Row(name=f"held after the last task, idle {IDLE_S:g} s", unit="s", goal=IDLE_S + 1.0,
            value=max(held), runs=tuple(held)),
        Row(name="first task, from no worker", unit="s", value=first),
    ]  # fmt: skip


def _recovery() -> list[Row]:
    found = []
    for _ in range(3):
        with ray_cluster.cluster(num_cpus=2) as cluster:
            node = cluster.add(num_cpus=2)
            executor = _executor(cluster, 4)
            names = [str(number) for number in range(4)]
            for name in names:
                executor.submit(task(name, "sleep", params=b"600"))
            wait_until_started(executor, *names)
            began = time.perf_counter()
            for process in (cluster.nodes[node], *_workers([cluster.nodes[node]])):
                os.kill(process, signal.SIGKILL)
            lost = [e for e in executor.events(60.0) if e.fate is Fate.LOST]
            while len(lost) < 2:
                lost += [e for e in executor.events(60.0) if e.fate is Fate.LOST]
            # What is left of the cluster is busy; half of it makes room.
            executor.cancel(next(name for name in names if name not in {e.task for e in lost}))
            executor.submit(task(lost[0].task))
            while not any(event.fate is Fate.OK for event in executor.events(60.0)):
                continue
            found.append(time.perf_counter() - began)
            executor.close()
    return [
        Row(name="a task of a killed node runs elsewhere after", unit="s", goal=2.0,
            value=statistics.median(found), runs=tuple(found)),
    ]  # fmt: skip


def _growth() -> list[Row]:
    """A node that isn't there is added for a task, and removed after it."""
    grows = {"num_cpus": 2, "most": 1, "idle_s": NODE_IDLE_S}
    with ray_cluster.cluster(num_cpus=0, grows=grows) as cluster:
        executor = _executor(cluster, 1)
        began = time.perf_counter()
        run_tasks(executor, task("1"))
        ended = time.perf_counter()
        while _workers(cluster.raylets()):
            time.sleep(0.02)
        idle = time.perf_counter()
        while len(cluster.raylets()) > 1:
            time.sleep(0.02)
        gone = time.perf_counter()
        executor.close()
    return [
        Row(name="first task, on a node that is added for it", unit="s", value=ended - began),
        Row(name=f"its worker held after the task, idle {IDLE_S:g} s", unit="s", goal=IDLE_S + 1.0,
            value=idle - ended),
        Row(name=f"its node held after the worker, idle {NODE_IDLE_S:g} s", unit="s",
            goal=NODE_IDLE_S + 1.0, value=gone - idle, baseline="Ray's autoscaler removes it"),
    ]  # fmt: skip


def _workers(raylets: Iterable[int]) -> list[int]:
    """The workers of Tidemill that raylets have started, and the processes of their tasks."""
    parents, found = {*raylets}, []
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            words = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent in parents and (words.startswith(b"ray::Host") or b"worker_main" in words):
            parents.add(int(folder.name))
            found.append(int(folder.name))
    return found


def _workflow(work: Path) -> list[Row]:
    """A workflow whose steps have limits, here and on Ray, in turns."""
    with ray_cluster.cluster(num_cpus=2) as cluster:
        os.environ.update(cluster.environment)
        found = [
            (_run(work, f"near-{n}", ""), _run(work, f"far-{n}", cluster.address)) for n in range(3)
        ]
    near, far = ([pair[side] for pair in found] for side in (0, 1))
    return [
        Row(name=f"first run of {STEPS} small steps, {what}", unit="s", value=of(far),
            baseline=f"{of(near):.2f} in processes of this machine")
        for what, of in (("wall", wall), ("CPU of the run", cpu))
    ]  # fmt: skip


def _run(work: Path, name: str, address: str) -> Used:
    folder = work / name
    measure([TIDEMILL, "init", name], work)
    code = folder / "bakery.py"
    code.write_text(code.read_text().replace("@flow.transform\n", f"@flow.transform({_LIMITS})\n"))
    _send_to(address, folder)
    return measure([TIDEMILL, "run"], folder)


def _send_to(address: str, folder: Path) -> None:
    """Let a project use a cluster, if there is an address."""
    if address:
        settings, head = folder / "pyproject.toml", "[tool.tidemill]\n"
        text = settings.read_text().replace(head, f'{head}executor = "{address}"\n', 1)
        settings.write_text(f"{text}[tool.tidemill.ray]\nworkers = 2\n")


def _small(work: Path, partitions: int, limits: str) -> list[Row]:
    """First runs of a workflow of small partitions, with the setting `executor` beside without it."""
    with ray_cluster.cluster(num_cpus=2) as cluster:
        os.environ.update(cluster.environment)
        near, far = (_run_small(work, partitions, limits, at) for at in ("", cluster.address))
    kind = " of a stage with limits" if limits else ""
    return [
        Row(name=f"{partitions:,} small partitions{kind}, with Ray, {what}", unit="x", goal=1.05,
            value=there / here, baseline=f"{there:.1f} s against {here:.1f} s without it")
        for what, there, here in (
            ("wall", far.wall_s, near.wall_s), ("CPU of the run", far.cpu_s, near.cpu_s)
        )
    ]  # fmt: skip


def _run_small(work: Path, partitions: int, limits: str, address: str) -> Used:
    folder = work / f"small-{partitions}-{'far' if address else 'near'}"
    folder.mkdir()
    (folder / "flows.py").write_text(_SMALL.replace("(LIMITS)", f"({limits})" if limits else ""))
    (folder / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "flows:flow"\n')
    _send_to(address, folder)
    inside(folder, "values", str(partitions), "0", script="inside_partitions.py")
    projects.age(folder / "data")
    return measure([TIDEMILL, "run"], folder)


if __name__ == "__main__":
    drive("ray", sys.argv[1:], parts_of)
