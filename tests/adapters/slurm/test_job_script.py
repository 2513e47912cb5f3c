"""What is submitted: options and a script; none of it needs Slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.slurm.job_script import JobTerms, batch_options, batch_script


def test_options_say_what_is_reserved() -> None:
    shape = WorkerShape(
        cpus=2.5,
        memory=4_000_000_000,
        gpus=1,
        labels=(("partition", "gpu"), ("account", "team")),
        lifetime_s=61.0,
    )
    terms = JobTerms(options=("--reservation=team",))
    options = batch_options(shape, terms, name="tidemill-1", number=3)
    assert options == [
        "--parsable", "--job-name=tidemill-1", "--array=0-2", "--nodes=1", "--ntasks=1",
        "--cpus-per-task=3", "--no-requeue", "--export=ALL", "--output=/dev/null", "--partition=gpu",
        "--account=team", "--mem=3815M", "--gres=gpu:1", "--time=2", "--reservation=team",
    ]  # fmt: skip


def test_what_isnt_asked_for_is_left_to_the_cluster() -> None:
    options = batch_options(WorkerShape(), JobTerms(), name="n", number=1)
    assert not [each for each in options if each.startswith(("--mem", "--gres", "--time"))]


def test_the_script_prepares_and_becomes_the_worker() -> None:
    terms = JobTerms(python="/bin/echo", setup=("export GREETING=hello", "echo $GREETING"))
    script = batch_script(terms, "login.example", 7711)
    done = subprocess.run(["/bin/sh"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "hello", "-P -m tidemill.adapters.slurm.node_main login.example 7711",
    ]  # fmt: skip


def test_a_python_may_have_any_path(tmp_path: Path) -> None:
    python = tmp_path / "o'brien $(date) é"
    python.symlink_to("/bin/echo")
    script = batch_script(JobTerms(python=str(python)), "login.example", 7711)
    done = subprocess.run(["/bin/sh"], input=script, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("login.example 7711\n")
