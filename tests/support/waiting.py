"""Wait for what other threads and processes do; every limit is there to end a hang only."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

# Nothing takes as long, on however slow and busy a machine.
PATIENCE_S = 300.0


def until(happened: Callable[[], object], *processes: subprocess.Popen[Any]) -> None:
    """Wait until something has happened; fail after `PATIENCE_S`, or when a process ends before."""
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, "it never happened"
        for process in processes:
            assert process.poll() is None, process.communicate()
        time.sleep(0.002)
