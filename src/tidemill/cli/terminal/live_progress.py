"""Show the progress of a run on stderr: a bar per stage on a terminal, else a line now and then.

A thread draws, so that the clock moves during a long step. Rich could draw the bars; but it is 4 packages
and 14 MB more, 33 ms of CPU to import and 2.6 ms to draw 12 bars, for the few codes that `Block` writes.
"""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import TextIO

from tidemill.cli.terminal.block import TerminalBlock, terminal_size
from tidemill.cli.terminal.interrupt import drawing_lock
from tidemill.cli.terminal.progress_bars import ascii_only, log_line, progress_lines
from tidemill.ledger.run import Attempt
from tidemill.planning.plan import Plan, Step
from tidemill.project.composition import machine_cpus
from tidemill.runs.progress import ProgressTracker, RunProgress

# Shorter runs never show a bar.
_FIRST_S, _TERMINAL_S = 0.5, 0.2
# Seconds between lines in a log. The interval grows with the run's duration, up to a maximum that keeps
# services from ending a run as silent.
_LOG_S, _RAREST_S, _RARER = 10.0, 60.0, 0.1


class LiveProgress:
    """Shows the progress of a run; while it is open, printed text goes above the bars."""

    def __init__(self, stream: TextIO, every_s: float | None = None) -> None:
        self._stream = stream
        terminal = stream.isatty() and _moves()
        self._block = TerminalBlock(stream) if terminal else None
        self._color = not os.environ.get("NO_COLOR")
        self._plain = "utf" not in (stream.encoding or "utf").lower()
        self._every = every_s or (_TERMINAL_S if terminal else _LOG_S)
        self._first = every_s or (_FIRST_S if terminal else _LOG_S)
        self._lock = threading.Lock()
        self._standing = ProgressTracker(machine_cpus())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> LiveProgress:
        if self._block is not None:
            self._block.open()
        return self

    def begin(self, plan: Plan) -> None:
        """Start showing a run of a plan, in place of an earlier one."""
        with self._lock:
            self._standing.begin(plan, time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._draw, name="tidemill-progress", daemon=True
            )
            self._thread.start()

    def started(self, step: Step) -> None:
        """Note that a step started, or waits for a worker."""
        with self._lock:
            self._standing.start_step(step, time.monotonic())

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """Note the outcome of a step."""
        with self._lock:
            self._standing.end_step(step, attempt, time.monotonic())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._block is not None:
            self._block.close()

    def _draw(self) -> None:
        pause = self._first
        while not self._stop.wait(pause):
            with self._lock:
                seen = self._standing.snapshot(time.monotonic())
            try:
                pause = self._show(seen)
            except (OSError, ValueError):
                # The terminal is gone; the run continues.
                return

    def _show(self, seen: RunProgress) -> float:
        """Write the progress; return the seconds until the next update."""
        if self._block is not None:
            with drawing_lock:
                self._block.draw(self._lines(seen))
            return self._every
        self._stream.write(log_line(seen) + "\n")
        self._stream.flush()
        return max(self._every, min(_RAREST_S, _RARER * seen.elapsed_s))

    def _lines(self, seen: RunProgress) -> list[str]:
        width, height = terminal_size(self._stream)
        # Leave some printed lines visible.
        lines = progress_lines(seen, width - 1, max(1, height - 4), color=self._color)
        return [ascii_only(line) for line in lines] if self._plain else lines


def _moves() -> bool:
    """Whether the cursor can move; in a notebook's terminal it can't."""
    return os.environ.get("TERM") != "dumb" and "JPY_PARENT_PID" not in os.environ
