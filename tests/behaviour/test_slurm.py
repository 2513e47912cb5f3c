"""Steps in jobs of Slurm give what they give here, also when workers and the run itself are killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.cluster_projects import (
    TIDEMILL,
    attempts,
    computed_again,
    copy_with,
    elsewhere,
    near,
    objects,
    run,
    were_sent,
)
from tests.support.slurm_clusters import host_of, jobs, slurm_cluster, wait_until

__all__ = ["near", "slurm_cluster"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm_cluster")]

EXAMPLES = Path(__file__).parents[2] / "examples" / "slurm"
EXECUTOR = 'executor = "slurm"'
LOOPBACK = """
[tool.tidemill.slurm]
address = "127.0.0.1"
memory = "2GB"
time_limit = "10m"
"""


def slowed(near: Path) -> Path:
    """The project with a stage that takes some time."""
    file = near / "bakery.py"
    text = file.read_text().replace(
        ") -> tm.Frame[Features]:\n", ") -> tm.Frame[Features]:\n    sum(range(10_000_000))\n"
    )
    file.write_text(text)
    return near


def test_a_run_in_jobs_gives_the_same_objects_and_leaves_none(near: Path) -> None:
    far = copy_with(near, "far", EXECUTOR, table=LOOPBACK)
    run(near)
    run(far)
    assert objects(far / ".tidemill") == objects(near / ".tidemill")
    assert were_sent(far)
    assert not jobs("PENDING", "RUNNING")
    assert computed_again(far) == set()


def test_a_node_that_shares_nothing_gets_code_and_state(
    near: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the workers say that they are another machine; they share only the folder with objects."""
    place = f'artifacts = "file://{near.parent}/objects"'
    far = copy_with(near, "far", EXECUTOR, place, table=LOOPBACK)
    run(near)
    elsewhere(monkeypatch, near.parent)
    run(far)
    names, own = objects(near.parent / "objects"), objects(near / ".tidemill")
    assert {name for name in names if "." in name} >= {name for name in own if "." in name}
    assert were_sent(far)


def test_a_run_inside_a_job_submits_its_workers(
    near: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example is submitted as it is."""
    far = copy_with(near, "far", EXECUTOR, table=LOOPBACK)
    shutil.copy(EXAMPLES / "run.sbatch", far)
    folder = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    submitted = ["sbatch", "--wait", "run.sbatch"]
    ended = subprocess.run(submitted, cwd=far, timeout=300, check=False, capture_output=True)
    [log] = far.glob("run-*.log")
    assert ended.returncode == 0, log.read_text()
    assert were_sent(far)
    run(near)
    assert objects(far / ".tidemill") == objects(near / ".tidemill")


def test_a_killed_worker_heals(near: Path) -> None:
    far = copy_with(slowed(near), "far", EXECUTOR, table=LOOPBACK)
    run(near)
    with subprocess.Popen([*TIDEMILL, "run"], cwd=far, stdout=subprocess.DEVNULL) as running:
        try:
            wait_until(lambda: jobs("RUNNING"))
            time.sleep(2.0)
            os.kill(host_of(jobs("RUNNING")[0]), signal.SIGKILL)
            assert running.wait(300) == 0
        finally:
            running.kill()
    assert any(each["outcome"] == "retried" for each in attempts(far))
    assert objects(far / ".tidemill") == objects(near / ".tidemill")


def test_a_killed_run_leaves_no_jobs_and_the_next_one_finishes_it(near: Path) -> None:
    far = copy_with(slowed(near), "far", EXECUTOR, table=LOOPBACK)
    run(near)
    with subprocess.Popen([*TIDEMILL, "run"], cwd=far, stdout=subprocess.DEVNULL) as running:
        wait_until(lambda: jobs("RUNNING"))
        time.sleep(1.0)
        running.kill()
    wait_until(lambda: not jobs("PENDING", "RUNNING", "COMPLETING"))
    run(far)
    assert objects(far / ".tidemill") == objects(near / ".tidemill")
    assert computed_again(far) == set()


def test_doctor_asks_slurm_whether_it_can_hold_a_worker(near: Path) -> None:
    said = []
    for number, partition in enumerate(("debug", "nowhere")):
        table = f'{LOOPBACK}partition = "{partition}"\n'
        far = copy_with(near, f"far{number}", EXECUTOR, table=table)
        ended = subprocess.run(
            [*TIDEMILL, "doctor", "--connect"], cwd=far, capture_output=True, text=True, check=False
        )
        said.append(" ".join(ended.stdout.split()))
    assert "slurm: 1 node; a worker of 1 CPUs, 2 GB, partition=debug, 10 min fits" in said[0]
    assert "invalid partition specified: nowhere" in said[1]
