"""Why a worker process ended, in words: its exit code, the machine's memory, and what it wrote last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_LINES, _BYTES = 5, 1000
# So much of the end is read to find where the fault handler began to write.
_TAIL = 1 << 14
_FAULT = "Fatal Python error"


def cause(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"


def machine_kills() -> int:
    """How many processes were ended so far for lack of memory, here or on the machine; 0 if untold.

    The control group's own count comes first: the machine's counts other containers, too.
    """
    for path in _counts():
        try:
            lines = path.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def _counts() -> Iterator[Path]:
    groups = Path("/sys/fs/cgroup")
    try:
        held = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return
    # In a container the path may be the host's, and the group then is the root of what is mounted.
    for _, names, path in held:
        if not names:
            yield groups / path.lstrip("/") / "memory.events"
            yield groups / "memory.events"
        elif "memory" in names.split(","):
            yield groups / "memory" / path.lstrip("/") / "memory.oom_control"
            yield groups / "memory" / "memory.oom_control"
    yield Path("/proc/vmstat")


def why_not(module: str, timeout_s: float = 10.0) -> str:
    """Why a worker can't start: what it says when its module is tried once more, without a lane."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it wasn't ready after {timeout_s:g} s"
    except OSError as error:
        return str(error)
    said = done.stderr.decode(errors="replace").strip()
    return said or "it ended before it was ready, and said nothing"


def last_words(path: Path, since: int) -> str:
    """The last few lines that were written to a file after its byte `since`; at most 1 kB.

    What Python's fault handler wrote is shown from its beginning, for there the innermost call is.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(since, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    faults = [number for number, line in enumerate(lines) if line.startswith(_FAULT)]
    shown = lines[faults[-1] :][: _LINES + 1] if faults else lines[-_LINES:]
    words = "\n".join(shown).encode()
    return (words[:_BYTES] if faults else words[-_BYTES:]).decode(errors="ignore")
