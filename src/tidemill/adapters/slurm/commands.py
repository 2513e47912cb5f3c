"""Run the commands of Slurm on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from tidemill.core.errors import UsageError

# Slurm's commands try for some time to reach its controller; once it was reached they may take longer.
_REACH_S, _ANSWER_S = 20.0, 60.0
_NEEDED = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")


def find_nodes() -> set[str]:
    """The nodes of the cluster; UsageError, with what to do, if it can't be reached from here."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    if missing:
        raise UsageError(
            f"executor = 'slurm': there is no {', '.join(missing)} here: run Tidemill on a machine that "
            "submits jobs, or leave `executor` out to run on this machine"
        )
    return {
        *run_command("sinfo", "--noheader", "--Node", "--format=%N", timeout_s=_REACH_S).split()
    }


def run_command(
    name: str,
    *arguments: str,
    script: str = "",
    environment: Mapping[str, str] | None = None,
    timeout_s: float = _ANSWER_S,
) -> str:
    """Run a command, with a `script` on its standard input; what it prints. UsageError if it fails.

    The error has Slurm's own words.
    """
    try:
        done = subprocess.run(
            [name, *arguments],
            input=script,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            # Ctrl-C isn't meant for it.
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"executor = 'slurm': {name} didn't answer for {timeout_s:g} s: is Slurm's controller there?"
        ) from error
    if done.returncode:
        raise UsageError(f"executor = 'slurm': {in_one_line(done.stderr or done.stdout)}")
    return done.stdout


def in_one_line(text: str) -> str:
    """What a command said, without the names of commands and lines."""
    lines = (line.strip() for line in text.splitlines())
    words = [line.partition("error: ")[2] or line for line in lines]
    return "; ".join(dict.fromkeys(filter(None, words)))


def leash(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that runs a command when this process ends, however it does, or closes its standard input."""
    return subprocess.Popen(
        ["/bin/sh", "-c", 'cat >/dev/null; exec "$@"', "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Signals for this process don't reach it.
        start_new_session=True,
    )
