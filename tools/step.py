"""Run one step of a build: `step.py NAME COMMAND...` prints its name, outcome and seconds."""

import subprocess
import sys
import time
from collections.abc import Sequence


def run_step(name: str, command: Sequence[str]) -> int:
    """Run the command with our output; returns its exit code (128 + n when a signal ended it)."""
    print(f"--- {name}", flush=True)
    started = time.monotonic()
    code = subprocess.call(command)
    seconds = time.monotonic() - started
    outcome = "ok" if code == 0 else f"FAILED ({code})"
    print(f"--- {name}: {outcome}, {seconds:.1f} s", flush=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: step.py NAME COMMAND...")
    sys.exit(run_step(sys.argv[1], sys.argv[2:]))
