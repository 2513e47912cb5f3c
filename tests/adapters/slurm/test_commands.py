"""Commands run as Tidemill means them, whatever users set for their own; the commands are scripts here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tidemill.adapters.slurm.commands import ControllerAway, leash, run_command
from tidemill.core.errors import UsageError
from tidemill.testing.suites.executor import PATIENCE_S


def command(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose scripts are commands."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_habits_of_users_change_no_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these each hides jobs, asks for confirmation or waits for the end of jobs."""
    for name in ("SQUEUE_USERS", "SCANCEL_INTERACTIVE", "SCANCEL_STATE", "SBATCH_WAIT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SBATCH_ACCOUNT", "team")
    command(folder, "squeue", "env | grep -E '^(SQUEUE|SCANCEL|SBATCH)_'")
    assert run_command("squeue") == "SBATCH_ACCOUNT=team\n"
    held = leash(["sh", "-c", f"env >{folder}/seen"])
    held.communicate(timeout=PATIENCE_S)
    assert "SCANCEL_" not in (folder / "seen").read_text()


def test_a_command_that_cant_start_or_fails_in_silence_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"sbatch doesn't start: .*No such file"):
        run_command("sbatch")
    with pytest.raises(UsageError, match=r"sbatch doesn't start: .*null"):
        run_command("sbatch", "--comment=a\0b")
    command(tmp_path, "sbatch", "exit 7")
    with pytest.raises(UsageError, match="executor = 'slurm': sbatch ended with code 7"):
        run_command("sbatch")


@pytest.mark.parametrize(
    ("said", "is_away"),
    [
        ("sbatch: error: Batch job submission failed: Unable to contact slurm controller", True),
        (
            "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
            True,
        ),
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", False),
    ],
)
def test_a_controller_that_is_away_is_told_from_a_refusal(
    folder: Path, said: str, is_away: bool
) -> None:
    command(folder, "sbatch", f"echo '{said}' >&2; exit 1")
    with pytest.raises(UsageError) as raised:
        run_command("sbatch")
    assert isinstance(raised.value, ControllerAway) == is_away


def test_a_script_arrives_as_it_is(folder: Path) -> None:
    """A path of a file may be no text in any encoding."""
    command(folder, "sbatch", "od -An -tx1")
    assert run_command("sbatch", script=os.fsdecode(b"\xe9\xff")).split() == ["e9", "ff"]


def test_a_leash_outlives_signals_that_end_a_job(tmp_path: Path) -> None:
    held = leash(["touch", str(tmp_path / "ran")])
    time.sleep(0.5)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.killpg(held.pid, number)
    held.communicate(timeout=PATIENCE_S)
    assert (tmp_path / "ran").exists()


def test_a_leash_waits_for_a_command_that_outlives_the_run(folder: Path) -> None:
    """As when the run is killed while it submits jobs, which are to be cancelled then."""
    held = leash(["sh", "-c", f"cat {folder}/jobs >{folder}/cancelled"])
    assert held.stdin is not None
    command(folder, "sbatch", f"(sleep 1; echo 11 >{folder}/jobs) >/dev/null 2>&1 &")
    run_command("sbatch", held=(held.stdin.fileno(),))
    held.communicate(timeout=PATIENCE_S)
    assert (folder / "cancelled").read_text() == "11\n"
