"""Identify the process that holds a lease, and check whether it is still alive."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

from tidemill.ledger.people import is_person

# Process information on Linux; other systems have `ps`, which a minimal Linux may lack.
_PROC = Path("/proc")
_MACHINE_ID = Path("/etc/machine-id")
# The namespace of process ids of a machine, outside of containers.
_OUTERMOST = "pid:[4026531836]"
_ID_MAP = _PROC / "self" / "uid_map"
# The map of ids that changes none: first id inside, first id outside, count.
_EVERY_ID = (0, 0, 2**32 - 1)


def this_process(command: str) -> dict[str, str]:
    """Return this process as the holder of a lease: host, process id, its start time, and the command.

    `started` is the start time in the system's own format, `since` the time now in Unix seconds. In which
    `space` process ids count is known by the boot of the machine and its namespace. `machine` is a hash of
    the machine's own id.
    """
    return {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "started": _start_time(os.getpid()),
        "since": f"{time.time():.0f}",
        "command": command,
        "user": this_user(),
        "space": _process_space(),
        "machine": _machine(),
    }


def this_user() -> str:
    """Return the user of this process, as the operating system knows it: `uid:1234` without a name.

    It is the name of the effective user id. Environment variables such as LOGNAME, which anybody can set,
    don't count. A user whose name is that of an actor that isn't a person is named by its id as well.

    In a user namespace with a map of its own, such as that of `unshare -r`, it is the id outside of it: there
    whoever made the namespace also chooses the ids, and may choose the list of names.
    """
    uid = os.geteuid()
    if (outer := outer_user_id()) is not None:
        return f"uid:{outer}"
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
    return name if is_person(name) else f"uid:{uid}"


def outer_user_id() -> int | None:
    """Return the effective user id outside of this process's user namespace.

    None if all ids are the same there, as without a namespace. An id that isn't mapped stays as it is.
    """
    try:
        rows = _ID_MAP.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    spans = [tuple(map(int, row.split())) for row in rows]
    if spans == [_EVERY_ID]:
        return None
    uid = os.geteuid()
    outer = (there + uid - here for here, there, count in spans if here <= uid < here + count)
    return next(outer, uid)


def is_dead(holder: Mapping[str, str]) -> bool:
    """Whether the holder is a dead process on this host; False for other hosts: their leases expire."""
    if holder.get("host") != socket.gethostname() or _is_out_of_sight(holder):
        return False
    pid = int(holder.get("pid", "0"))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    # Process ids are reused: the same id with another start time is another process.
    return _start_time(pid) != holder.get("started")


def _is_out_of_sight(holder: Mapping[str, str]) -> bool:
    """Whether it may be a process of another host with the same name, as containers are."""
    boot, _, space = holder.get("space", "").partition(" ")
    own_boot, _, own_space = _process_space().partition(" ")
    if not boot or not own_boot:
        return False
    if boot == own_boot:
        return space != own_space
    # Another machine, or an earlier boot of this one. An image may give its containers one machine's id.
    is_this_machine = bool(_machine()) and holder.get("machine") == _machine()
    return not is_this_machine or {space, own_space} != {_OUTERMOST}


def _machine() -> str:
    """Which machine this is, wherever it boots from; "" where that isn't told."""
    try:
        known = _MACHINE_ID.read_bytes().strip()
    except OSError:
        return ""
    # The id itself is the machine's own secret.
    return blake2b(known, digest_size=8, person=b"tidemill").hexdigest() if known else ""


def _process_space() -> str:
    """Which boot of the machine this is, and which namespace of process ids; "" where that isn't told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def describe_holder(holder: Mapping[str, str]) -> str:
    """Format the holder of a lease for messages."""
    command, pid, host = (holder.get(name, "?") for name in ("command", "pid", "host"))
    return f"`{command}` (process {pid} on {host})"


def active_run_message(environment: str, holder: Mapping[str, str]) -> str:
    """Say in plain words which run is active in an environment."""
    host = holder.get("host", "")
    place = "" if host == socket.gethostname() else f" on {host}"
    parts = [f"pid {holder['pid']}{place}" if "pid" in holder else f"a process{place}"]
    if "command" in holder:
        parts.append(f"`{holder['command']}`")
    if "since" in holder:
        since = datetime.fromtimestamp(float(holder["since"])).astimezone()
        today = datetime.now().astimezone().date()
        parts.append(f"started {since:{'%H:%M' if since.date() == today else '%Y-%m-%d %H:%M'}}")
    return f"another run is active in {environment}: {', '.join(parts)}"


def _start_time(pid: int) -> str:
    """Return the start time of a process in the system's own format; empty if it has ended."""
    if _PROC.exists():
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        # A zombie has ended, though its id is still in use.
        return "" if fields[0] == "Z" else fields[19]
    listed = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()
