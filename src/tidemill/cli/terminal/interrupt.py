"""End the program within a second of Ctrl-C, even during a long query.

The first interrupt raises the usual KeyboardInterrupt, and a run records how far it got. But Python
raises it only between two instructions, and one query can take minutes. Stored state survives a stop at
any moment, so a program that is still running after the grace period exits at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

GRACE_SECONDS = 0.7
INTERRUPTED = 130
# Set by a command that ends by itself when it is interrupted: a server answers what is in flight first.
ends_by_itself = threading.Event()
# Held while drawing on the terminal; an exiting program acquires it if that doesn't take long.
drawing_lock = threading.Lock()
_SOON_S = 0.2


def exit_when_interrupted(
    grace_s: float = GRACE_SECONDS, leave: Callable[[int], object] = os._exit
) -> Callable[[], None]:
    """Watch for SIGINT in a thread; call it in the main thread. Returns a function that ends the watch."""
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
    # Each signal that Python handles arrives as one byte: its number. An empty read is the pipe's end.
    while received := os.read(reader, 1):
        if received[0] == signal.SIGINT and not ends_by_itself.is_set():
            time.sleep(grace_s)
            held = drawing_lock.acquire(timeout=_SOON_S)
            # Erase the progress bars below the cursor, which are no longer updated.
            below = b"\x1b[J" if os.isatty(2) and os.environ.get("TERM") != "dumb" else b""
            os.write(2, b"\n" + below + b"interrupted; published partitions are kept\n")
            leave(INTERRUPTED)
            if held:
                drawing_lock.release()
