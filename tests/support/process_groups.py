"""The processes of a group that are alive."""

from __future__ import annotations

import subprocess


def living(group: int) -> list[str]:
    """The processes of a group, without those that only wait to be reaped."""
    command = ["ps", "-eo", "pgid=,stat=,pid="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [pid for pgid, state, pid in rows if pgid == str(group) and not state.startswith("Z")]
