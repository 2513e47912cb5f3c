"""Run the commands of Slurm on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from tidemill.core.errors import UsageError

# Slurm's commands try for some time to reach its controller; once it was reached they may take longer.
_REACH_S, _ANSWER_S = 20.0, 60.0
# Habits that users set for the commands they type; the defaults of `sbatch` for jobs stay.
_USERS = ("SQUEUE_", "SCANCEL_", "SINFO_", "SBATCH_WAIT", "SBATCH_CLUSTERS")
# What Slurm's commands say if they can't reach its controller now.
_AWAY = ("unable to contact slurm controller", "timed out", "connection refused")
_NEEDED = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")


class ControllerAway(UsageError):
    """Slurm's controller can't be reached now."""


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
    held: Sequence[int] = (),
) -> str:
    """Run a command, with a `script` on its standard input; what it prints. UsageError if it fails.

    The error has Slurm's own words. The command inherits the descriptors `held`.
    """
    try:
        done = subprocess.run(
            [name, *arguments],
            input=os.fsencode(script),
            env={**own_environment(os.environ), **(environment or {})},
            capture_output=True,
            timeout=timeout_s,
            check=False,
            pass_fds=held,
            # Ctrl-C isn't meant for it.
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ControllerAway(
            f"executor = 'slurm': {name} didn't answer for {timeout_s:g} s: is Slurm's controller there?"
        ) from error
    # ValueError: an argument can't be one, such as a text with a NUL.
    except (OSError, ValueError) as error:
        raise UsageError(f"executor = 'slurm': {name} doesn't start: {error}") from error
    said, complained = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    if done.returncode:
        why = in_one_line(complained or said) or f"{name} ended with code {done.returncode}"
        is_away = any(words in why.lower() for words in _AWAY)
        raise (ControllerAway if is_away else UsageError)(f"executor = 'slurm': {why}")
    return said


def own_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what changes which jobs commands see and end, or makes them ask or wait."""
    return {k: v for k, v in environment.items() if not k.startswith(_USERS)}


def in_one_line(text: str) -> str:
    """What a command said, without the names of commands and lines."""
    lines = (line.strip() for line in text.splitlines())
    words = [line.partition("error: ")[2] or line for line in lines]
    return "; ".join(dict.fromkeys(filter(None, words)))


def leash(command: Sequence[str]) -> subprocess.Popen[bytes]:
    """A process that runs a command when its standard input is closed: when all who hold it have ended.

    A job that is cancelled tells all its processes to end; this one still runs the command then.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", 'trap "" HUP INT TERM; cat >/dev/null; exec "$@"', "sh", *command],
        env=own_environment(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # Signals for this process don't reach it.
        start_new_session=True,
    )
