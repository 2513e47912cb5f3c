"""`tidemill up` as a process of its own, with what it says in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import until


class RunningUp:
    """A running `tidemill up` in a folder."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        number = len([*folder.parent.glob("up-*.log")])
        self.log = folder.parent / f"up-{number}.log"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tidemill", "up", "--no-console", *arguments],
                cwd=folder,
                stdout=file,
                stderr=file,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    @property
    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def says(self, text: str, times: int = 1) -> None:
        """Wait until it has said something."""

        def is_said() -> bool:
            assert self.process.poll() is None or self.text.count(text) >= times, self.text
            return self.text.count(text) >= times

        until(is_said)

    def children(self) -> list[int]:
        """The processes that it started, and those that these started, which are alive."""
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
        ).stdout
        parents = {
            int(pid): int(parent)
            for pid, parent, state in (line.split() for line in listed.splitlines())
            if not state.startswith("Z")
        }
        found, waiting = [], [self.process.pid]
        while waiting:
            one = waiting.pop()
            young = [pid for pid, parent in parents.items() if parent == one]
            found += young
            waiting += young
        return found

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Tell it to end, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait()


@contextmanager
def running_up(folder: Path, *arguments: str) -> Iterator[RunningUp]:
    """`tidemill up` in a folder until the end of the block."""
    found = RunningUp(folder, *arguments)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.kill()


def is_alive(pid: int) -> bool:
    """Whether a process is alive, and not only waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
