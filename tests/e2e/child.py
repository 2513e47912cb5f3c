"""A run in a process of its own that kills itself: `child.py ROOT POINT before|after NTH`.

POINT is the call that it dies at: fill (writing an object's bytes), move (giving it its name), append,
deliver (the sink), replace (the rename of the sink).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.behaviour.test_models import Sea
from tidemill.adapters.files import artifacts as files
from tidemill.adapters.sinks import parquet
from tidemill.adapters.sqlite.ledger import SqliteLedger

POINTS: dict[str, tuple[Any, str]] = {
    "fill": (files, "_write_all"),
    "move": (files, "_move_into_place"),
    "append": (SqliteLedger, "append"),
    "deliver": (parquet, "deliver"),
    "replace": (parquet, "_replace_file"),
}


def deadly(function: Callable[..., Any], when: str, nth: int) -> Callable[..., Any]:
    """The function, whose n-th call is the process's last."""
    calls = 0

    def call(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*given, **named)
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


def main(root: str, point: str, when: str, nth: str) -> None:
    owner, name = POINTS[point]
    setattr(owner, name, deadly(getattr(owner, name), when, int(nth)))
    Sea(Path(root)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
