"""Workers in jobs of Slurm pass the executor suites on a real cluster, and tell of jobs that are lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_sharing import NodeSharingSuite
from tests.support.slurm_clusters import host_of, jobs, slurm_cluster, wait_until
from tidemill.adapters.clusters.cluster_executor import ClusterExecutor, ClusterTerms
from tidemill.adapters.clusters.cluster_worker import WorkerTerms
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.slurm.cluster import SlurmCluster
from tidemill.adapters.slurm.job_script import JobTerms
from tidemill.core.errors import UsageError
from tidemill.ports.execution import Executor, Fate
from tidemill.testing.suites.executor import (
    final_events,
    keep_busy,
    run_tasks,
    task,
    wait_until_started,
)
from tidemill.testing.suites.executor_processes import ProcessesSuite
from tidemill.testing.suites.executor_sharing import CLASSES

__all__ = ["slurm_cluster"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm_cluster")]

LOOPBACK = JobTerms(address="127.0.0.1")


def trusting(facts: Mapping[str, Any], unpack: object) -> tuple[dict[str, str], str]:
    return {}, ""


def open_executor(jobs: JobTerms = LOOPBACK, **terms: Any) -> Executor:
    """An executor with room for two tasks at once."""
    known = {"workers": 1, "idle_s": 0.3, "default": WorkerShape(cpus=2, gpus=2), **terms}
    return ClusterExecutor(
        SlurmCluster(jobs),
        ClusterTerms(**known),
        WorkerTerms(classes=CLASSES, idle_s=0.3, admit=trusting),
    )


@contextmanager
def executor_of(jobs: JobTerms = LOOPBACK, **terms: Any) -> Iterator[Executor]:
    made = open_executor(jobs, **terms)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def executor() -> Iterator[Executor]:
    with executor_of() as made:
        yield made


class TestSlurmExecutor(ProcessesSuite):
    pass


class TestSharing(NodeSharingSuite):
    pass


def test_workers_that_start_together_are_one_array_and_end_in_order() -> None:
    before = {each["array"] for each in jobs()}
    names = [str(number) for number in range(100)]
    with executor_of(workers=4, default=WorkerShape(cpus=1), idle_s=1.0) as executor:
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.3"))
        wait_until(lambda: len(jobs("RUNNING")) == 4)
        # The first one alone, then all others.
        assert len({each["array"] for each in jobs("RUNNING")} - before) == 2
        final_events(executor, names)
        wait_until(lambda: not jobs("RUNNING", "PENDING", "COMPLETING"))
    ended = [each for each in jobs() if each["array"] not in before]
    assert {each["state"] for each in ended} == {"COMPLETED"}


def test_a_job_that_slurm_refuses_is_refused_in_its_words() -> None:
    shape = WorkerShape(cpus=1, labels=(("partition", "nowhere"),))
    with executor_of(default=shape) as executor:
        (event,) = run_tasks(executor, task("1"))
    assert event.fate is Fate.ERROR
    assert event.error is not None
    assert event.error.type == "NoWorker"
    assert "invalid partition specified: nowhere" in event.error.message
    cluster = SlurmCluster(LOOPBACK)
    try:
        with pytest.raises(UsageError, match="invalid partition specified: nowhere"):
            cluster.describe(shape)
        assert cluster.describe(WorkerShape(cpus=2)) == "1 node; a worker of 2 CPUs fits"
    finally:
        cluster.close()


def test_what_cant_be_placed_in_time_says_slurms_reason_and_leaves_no_job() -> None:
    shape = WorkerShape(cpus=1, labels=(("partition", "down"),))
    with executor_of(default=shape, pending_s=2.0) as executor:
        (event,) = run_tasks(executor, task("1"))
        assert event.fate is Fate.ERROR
        assert event.error is not None
        said = event.error.message
        assert "no worker of 1 CPUs, partition=down was placed within 2 s: job " in said
        assert "is PENDING (PartitionDown)" in said
        wait_until(lambda: not jobs("PENDING"))


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (JobTerms(address="127.0.0.1", python="/no/python"), "its node has no such Python"),
        (JobTerms(address="127.0.0.1", setup=("exit 1",)), "a line of setup failed"),
        (JobTerms(address="127.0.0.1", setup=("export TIDEMILL_SLURM_TOKEN=x",)),
         "its node can't connect to 127.0.0.1 port "),
    ],
)  # fmt: skip
def test_a_worker_that_never_starts_says_why(terms: JobTerms, says: str) -> None:
    with executor_of(terms) as executor:
        (event,) = run_tasks(executor, task("1"))
    assert event.fate is Fate.ERROR
    assert event.error is not None
    assert "ended before its worker was ready: FAILED" in event.error.message
    assert says in event.error.message


def test_a_killed_worker_loses_its_tasks_and_no_other(tmp_path: Path) -> None:
    with executor_of(workers=2, default=WorkerShape(cpus=1), idle_s=30.0) as executor:
        with keep_busy(executor, tmp_path / "gate", "1", "2"):
            os.kill(host_of(jobs("RUNNING")[0]), signal.SIGKILL)
        found = final_events(executor, "12")
        assert sorted(event.fate for event in found.values()) == [Fate.LOST, Fate.OK]
        [lost] = [event for event in found.values() if event.fate is Fate.LOST]
        assert lost.error is not None
        assert lost.error.message.startswith("its worker on Slurm was lost: job ")
        assert "ended as FAILED" in lost.error.message
        # Slurm doesn't start it again, Tidemill does.
        assert len(jobs("RUNNING", "PENDING")) == 1
        assert run_tasks(executor, task("3"))[0].fate is Fate.OK


def test_a_cancelled_job_is_named(tmp_path: Path) -> None:
    with executor_of(idle_s=30.0) as executor:
        executor.submit(task("1", "sleep", params=b"600"))
        wait_until_started(executor, "1")
        [job] = jobs("RUNNING")
        subprocess.run(["scancel", job["job"]], check=True)
        event = final_events(executor, "1")["1"]
    assert event.fate is Fate.LOST
    assert event.error is not None
    assert "ended as CANCELLED: somebody cancelled it" in event.error.message


def test_a_worker_that_is_near_its_time_limit_gets_no_more_tasks() -> None:
    shape = WorkerShape(cpus=2, lifetime_s=4.0)
    with executor_of(default=shape, idle_s=30.0) as executor:
        run_tasks(executor, task("1"))
        [first] = jobs("RUNNING")
        wait_until(lambda: first not in jobs("RUNNING"))
        assert run_tasks(executor, task("2"))[0].fate is Fate.OK
        [second] = jobs("RUNNING")
    assert first["job"] != second["job"]


RUN = """
import sys
from tests.adapters.slurm.test_cluster import open_executor
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.testing.suites.executor import task, wait_until_started

executor = open_executor(workers=8, default=WorkerShape(cpus=2), idle_s=60.0)
for number in range(32):
    executor.submit(task(str(number), "sleep", params=b"600"))
wait_until_started(executor, "0", "1", "2", "3")
print("running", flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_no_jobs_behind() -> None:
    """More workers are asked for than the cluster holds, so some still wait."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "running\n"
            wait_until(lambda: len(jobs("RUNNING")) == 2 and jobs("PENDING"))
            hosts = [host_of(job) for job in jobs("RUNNING")]
        finally:
            running.kill()
    wait_until(lambda: not jobs("RUNNING", "PENDING", "COMPLETING"))
    assert not any(Path(f"/proc/{host}").exists() for host in hosts)


def test_a_run_that_is_killed_while_it_submits_leaves_no_jobs_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where Slurm's controller is busy: the jobs come after the run has ended."""
    before = {each["array"] for each in jobs()}
    slow = tmp_path / "sbatch"
    slow.write_text(
        f'#!/bin/sh\ntouch {tmp_path}/asked\nsleep 3\nexec {shutil.which("sbatch")} "$@"\n'
    )
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=Path(__file__).parents[3], stdin=subprocess.PIPE
    ) as running:
        try:
            wait_until((tmp_path / "asked").exists)
        finally:
            running.kill()
    wait_until(lambda: {each["array"] for each in jobs()} - before)
    wait_until(lambda: not jobs("RUNNING", "PENDING", "COMPLETING"))
    assert {e["state"] for e in jobs() if e["array"] not in before} == {"CANCELLED"}


def test_an_array_is_no_larger_than_slurm_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.adapters.slurm.cluster._MOST_IN_ARRAY", 2)
    cluster = SlurmCluster(LOOPBACK)
    try:
        shape = WorkerShape(cpus=1, labels=(("partition", "down"),))
        with ThreadPoolExecutor(5) as threads:
            names = [worker.job for worker in threads.map(cluster.start, [shape] * 5)]
        assert {each["job"] for each in jobs("PENDING")} >= {*names}
    finally:
        cluster.close()
    arrays = [name.partition("_")[0] for name in names]
    assert len({*names}) == 5
    assert max(map(arrays.count, arrays)) == 2


def test_the_cluster_of_the_tests_listens_on_this_machine_alone() -> None:
    """Its daemons run jobs as root for whoever reaches them."""
    ports = re.findall("Port=([0-9]+)", Path(os.environ["SLURM_CONF"]).read_text())
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    found = [host for host, port in listening if str(int(port, 16)) in ports]
    assert found == ["0100007F"] * 2


def test_the_code_of_a_step_has_no_token_of_the_run(executor: Executor) -> None:
    (event,) = run_tasks(executor, task("1", "environment", params=b"TIDEMILL_SLURM_TOKEN"))
    assert event.result == b""


def test_a_controller_that_doesnt_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    known = Path(os.environ["SLURM_CONF"]).read_text()
    conf = tmp_path / "slurm.conf"
    conf.write_text(re.sub("SlurmctldPort=[0-9]+", f"SlurmctldPort={port}", known))
    monkeypatch.setenv("SLURM_CONF", str(conf))
    with pytest.raises(UsageError, match=r"executor = 'slurm': .*[Cc]onnect"):
        SlurmCluster(LOOPBACK)


def test_a_machine_without_slurm_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=r"there is no sbatch, .* leave `executor` out to run on"):
        SlurmCluster(LOOPBACK)
