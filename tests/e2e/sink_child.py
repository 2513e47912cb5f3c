"""A run in a process of its own that kills itself at a line: `sink_child.py ROOT NTH`.

It dies before the n-th line that it executes in a sink, or in what calls it. With 0 it isn't killed, and
prints how many lines there are.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import tidemill

PACKAGE = Path(tidemill.__file__).parent
WATCHED = (
    str(PACKAGE / "adapters" / "sinks"),
    str(PACKAGE / "delivery" / "io" / "outbox.py"),
    str(PACKAGE / "runs" / "io" / "recovery.py"),
)


def main(root: str, nth: str) -> None:
    from tests.support.tides import Tides

    lines, last = 0, int(nth)

    def line(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == last:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(WATCHED) else None

    tides = Tides(Path(root), (Path(root) / "flow.txt").read_text())
    # The publisher is another thread.
    threading.settrace(call)
    sys.settrace(call)
    receipt = tides.run()
    sys.settrace(None)
    assert receipt.exit_code == 0, receipt.messages
    sys.stdout.write(str(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
