"""Who holds a lease, and whether that process is still alive."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Where Linux tells about processes; elsewhere `ps` does, which a small Linux may not have.
_PROC = Path("/proc")


def this_process(command: str) -> dict[str, str]:
    """This process as a lease's holder: host, process id, when the process started, and the command."""
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "started": _started(os.getpid()),
        "command": command,
    }


def this_user() -> str:
    """Who runs this process; its host where users have no names, as in a small container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"somebody on {socket.gethostname()}"


def is_dead(holder: Mapping[str, str]) -> bool:
    """Whether a holder on this host is gone; one on another host is only known by its heartbeat."""
    if holder.get("host") != socket.gethostname():
        return False
    pid = int(holder.get("pid", "0"))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    # Process ids are used again: the same number with another start is somebody else.
    return _started(pid) != holder.get("started")


def describe(holder: Mapping[str, str]) -> str:
    """A holder in words."""
    command, pid, host = (holder.get(name, "?") for name in ("command", "pid", "host"))
    return f"`{command}` (process {pid} on {host})"


def _started(pid: int) -> str:
    """When a process started, in whatever unit the system tells; empty when it is gone."""
    if _PROC.exists():
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        # A zombie has ended, though its number is still taken.
        return "" if fields[0] == "Z" else fields[19]
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return told.stdout.strip()
