"""A Slurm cluster that the tests of a module share, which the environment of this process can reach."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tidemill.testing.suites.executor import PATIENCE_S


@pytest.fixture(scope="module")
def slurm_cluster() -> Iterator[None]:
    """A new cluster with a node of four CPUs and two devices; tests say why they are skipped without one."""
    # Where the wheel is tried, there are no tools.
    from tools import slurm_cluster

    if reason := slurm_cluster.missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            found = stack.enter_context(slurm_cluster.cluster(cpus=4, gpus=2))
        except slurm_cluster.NotStarted as error:
            pytest.skip(str(error))
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in found.items():
            patched.setenv(name, value)
        yield


def jobs(*states: str) -> list[dict[str, str]]:
    """The jobs in these states, or in any."""
    asked = f"--states={','.join(states) or 'all'}"
    found = subprocess.run(
        ["squeue", "--noheader", "--array", asked, "--format=%i|%A|%F|%T|%j|%r"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split("|") for line in found.stdout.splitlines())
    keys = ("job", "number", "array", "state", "name", "reason")
    return [dict(zip(keys, row, strict=True)) for row in rows]


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def host_of(job: Mapping[str, str]) -> int:
    """The process of a running job's worker."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"tidemill.adapters.slurm.node_main" in (folder / "cmdline").read_bytes():
                held = (folder / "environ").read_bytes()
                if f"SLURM_JOB_ID={job['number']}\0".encode() in held:
                    return int(folder.name)
    raise AssertionError("no such worker")
