"""Ctrl-C ends the program within a second, whatever it is computing.

The first interrupt is the usual KeyboardInterrupt, and a run then writes down how far it got. But
Python raises it only between two of its own instructions, and one query can take minutes. State is
safe to be cut off at any moment, so a program that is still there after a moment just leaves.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

GRACE_SECONDS = 0.7
INTERRUPTED = 130
# Held by who draws on the terminal; a program that leaves takes it, if it comes soon.
drawing = threading.Lock()
_SOON_S = 0.2


def leave_when_interrupted(
    grace_s: float = GRACE_SECONDS, leave: Callable[[int], object] = os._exit
) -> Callable[[], None]:
    """Watch for SIGINT from a thread; to be called in the main thread. Returns what ends the watch."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    watch = threading.Thread(
        target=_watch, args=(reader, grace_s, leave), name="tidemill-interrupt", daemon=True
    )
    watch.start()

    def end() -> None:
        signal.set_wakeup_fd(before)
        os.close(writer)
        watch.join()
        os.close(reader)

    return end


def _watch(reader: int, grace_s: float, leave: Callable[[int], object]) -> None:
    # Each signal that Python handles arrives as one byte: its number. The pipe's end is no byte.
    while received := os.read(reader, 1):
        if received[0] == signal.SIGINT:
            time.sleep(grace_s)
            held = drawing.acquire(timeout=_SOON_S)
            # What is below is bars of progress, which nobody draws any more.
            below = b"\x1b[J" if os.isatty(2) and os.environ.get("TERM") != "dumb" else b""
            os.write(2, b"\n" + below + b"interrupted; whatever was published is kept\n")
            leave(INTERRUPTED)
            if held:
                drawing.release()
