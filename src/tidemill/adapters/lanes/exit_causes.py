"""Explain why a worker process ended: its exit code, out-of-memory kills, and its last output."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tidemill.core.python_command import python_code

_TAIL_LINES = 5
_TAIL_BYTES = 1000
# Bytes read from the end of the output, to find where the fault handler started to write.
_SEARCH_BYTES = 1 << 14
_FAULT_PREFIX = "Fatal Python error"


def describe_exit(code: int) -> str:
    """Describe how a process ended, from its exit code."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"


def count_oom_kills() -> int:
    """The number of processes that the system killed for lack of memory so far; 0 if unknown.

    The control group's count takes precedence: the machine's includes other containers.
    """
    for path in _oom_counter_files():
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _oom_counter_files() -> Iterator[Path]:
    groups = Path("/sys/fs/cgroup")
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    # In a container the path may be the host's; the group is then the root of the mount.
    for _, names, path in lines:
        if not names:
            yield groups / path.lstrip("/") / "memory.events"
            yield groups / "memory.events"
        elif "memory" in names.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
            yield groups / "memory" / "memory.oom_control"
    yield Path("/proc/vmstat")


def explain_failed_start(module: str, timeout_s: float = 10.0) -> str:
    """Explain why a worker can't start, by importing its module once more in a separate process."""
    try:
        done = subprocess.run(
            python_code(f"import {module}"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it wasn't ready after {timeout_s:g} s"
    except OSError as error:
        return str(error)
    output = done.stderr.decode(errors="replace").strip()
    return output or "it ended before it was ready, without any output"


def output_tail(path: Path, since: int) -> str:
    """The last few lines written to a file after byte `since`, at most 1 kB.

    A traceback of Python's fault handler is shown from its start, which has the innermost call.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(since, file.seek(0, os.SEEK_END) - _SEARCH_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    faults = [number for number, line in enumerate(lines) if line.startswith(_FAULT_PREFIX)]
    shown = lines[faults[-1] :][: _TAIL_LINES + 1] if faults else lines[-_TAIL_LINES:]
    words = "\n".join(shown).encode()
    return (words[:_TAIL_BYTES] if faults else words[-_TAIL_BYTES:]).decode(errors="ignore")
