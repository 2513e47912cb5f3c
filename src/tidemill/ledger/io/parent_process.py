"""End a child process when its parent is gone, however that ended."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from contextlib import suppress

_PARENT_POLL_S = 0.5


def exit_with_parent(parent_pipe: int) -> None:
    """End this process and its process group when the parent is gone.

    Only the parent has the other end of the pipe `parent_pipe`. Where the system supports it, closing that
    end kills the whole process group, even while the interpreter lock is held. Elsewhere, or if a fork
    of the parent also has the pipe, a thread polls for the parent.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_S)
        os.killpg(0, signal.SIGKILL)

    if hasattr(fcntl, "F_SETSIG"):
        with suppress(OSError):
            fcntl.fcntl(parent_pipe, fcntl.F_SETOWN, -os.getpgrp())
            fcntl.fcntl(parent_pipe, fcntl.F_SETSIG, signal.SIGKILL)
            flags = fcntl.fcntl(parent_pipe, fcntl.F_GETFL)
            fcntl.fcntl(parent_pipe, fcntl.F_SETFL, flags | os.O_ASYNC)
    threading.Thread(target=watch, name="tidemill-parent", daemon=True).start()
