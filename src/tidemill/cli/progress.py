"""How far a run is, on stderr: a bar a stage on a terminal, else now and then a line.

A thread draws, because one step (a training) can take longer than anybody wants to see a stopped clock.
Rich would draw as much; it is 4 packages and 14 MB more, 33 ms of CPU to import and 2.6 ms to draw 12
bars, for the few codes that `_Block` writes.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, TextIO, cast

from tidemill.cli.bars import ascii_only, live_lines, log_line
from tidemill.decide.standing import Seen, Standing
from tidemill.domain.plan import Plan, Step
from tidemill.domain.run import Attempt

# Runs that are done by then never show a bar.
_FIRST_S, _TERMINAL_S = 0.5, 0.2
# A log gets a line after so long; with time they grow rarer, but a service that ends what is silent waits.
_LOG_S, _RAREST_S, _RARER = 10.0, 60.0, 0.1
# Whoever prints more often than that has the bars drawn by the clock, not by every line.
_PRINTED_S = 0.05
_ERASE = "\r\x1b[J"
# A line that turns out wider than it should is cut by the terminal, and takes no second line.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"


class ProgressBars:
    """Shows what it is told of a run, until it is closed; while it is open, prints go above the bars."""

    def __init__(self, stream: TextIO, every_s: float | None = None) -> None:
        self._stream = stream
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._block = _Block(stream) if terminal else None
        self._every = every_s or (_TERMINAL_S if terminal else _LOG_S)
        self._first = every_s or (_FIRST_S if terminal else _LOG_S)
        self._lock = threading.Lock()
        self._standing = Standing(os.cpu_count() or 1)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ProgressBars:
        if self._block is not None:
            self._block.open()
        return self

    def begin(self, plan: Plan) -> None:
        """A run begins with the steps of a plan."""
        with self._lock:
            self._standing.begin(plan, time.monotonic())
        self._thread = threading.Thread(target=self._draw, name="tidemill-progress", daemon=True)
        self._thread.start()

    def started(self, step: Step) -> None:
        """A step is at work, or waits for a worker."""
        with self._lock:
            self._standing.started(step, time.monotonic())

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        """What became of a step."""
        with self._lock:
            self._standing.ended(step, attempt, time.monotonic())

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
                seen = self._standing.seen(time.monotonic())
            try:
                pause = self._show(seen)
            except (OSError, ValueError):
                # Whoever watched has gone; the work goes on.
                return

    def _show(self, seen: Seen) -> float:
        """Write how far the run is; gives the seconds until it is to be written again."""
        if self._block is not None:
            self._block.draw(seen)
            return self._every
        self._stream.write(log_line(seen) + "\n")
        self._stream.flush()
        return max(self._every, min(_RAREST_S, _RARER * seen.elapsed_s))


class _Block:
    """Lines at the foot of a terminal; the cursor stays above them, on an empty line.

    So what anybody else writes (a worker process, a library in C, the user's keyboard) stands above them,
    and they are drawn anew below it. No mode of the terminal is left changed between two writes: when
    the process is killed there is nothing to put right.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._plain = "utf" not in (stream.encoding or "utf").lower()
        self._color = not os.environ.get("NO_COLOR")
        self.lock = threading.RLock()
        self._pid = os.getpid()
        self._lines: Sequence[str] = ()
        self._there = False
        self._at = 0.0
        self._prints: dict[str, _Above] = {}
        self._open = False

    def open(self) -> None:
        """From now on what is printed in this process goes above the lines."""
        self._open = True
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream.isatty():
                self._prints[name] = _Above(stream, self)
                setattr(sys, name, cast(TextIO, self._prints[name]))

    def close(self) -> None:
        """Erase the lines, and leave the streams as they were."""
        for name, above in self._prints.items():
            # Whoever put something else there meanwhile has to take it away, not we.
            if getattr(sys, name) is above:
                setattr(sys, name, above.stream)
        with self.lock:
            self._open = False
            try:
                self._erase()
            except (OSError, ValueError):
                return
            for above in self._prints.values():
                above.end()

    def draw(self, seen: Seen) -> None:
        """Show how far a run is, in as many lines as there is room for."""
        width, height = _size(self._stream)
        # One line stays empty, and some of what was printed should stay to be seen.
        lines = live_lines(seen, width - 1, max(1, height - 4), color=self._color)
        with self.lock:
            self._lines = [ascii_only(line) for line in lines] if self._plain else lines
            self._redraw()

    def above(self, stream: TextIO, text: str) -> None:
        """Write whole lines above the block; to be called with the lock."""
        self._erase()
        stream.write(text)
        stream.flush()
        if self._lines and time.monotonic() - self._at > _PRINTED_S:
            self._redraw()

    @property
    def is_open(self) -> bool:
        """Whether the lines are this process's to draw: what was forked from it doesn't."""
        return self._open and os.getpid() == self._pid

    def _redraw(self) -> None:
        below = "".join(f"\n{line}" for line in self._lines)
        self._stream.write(f"{_CUT}{_ERASE}{below}\r\x1b[{len(self._lines)}A{_WRAP}")
        self._stream.flush()
        self._there, self._at = True, time.monotonic()

    def _erase(self) -> None:
        if self._there:
            self._stream.write(_ERASE)
            self._stream.flush()
            self._there = False


class _Above:
    """A stream of the terminal that the block is on: whole lines go above it, the rest waits for its end."""

    def __init__(self, stream: TextIO, block: _Block) -> None:
        self.stream = stream
        self._block = block
        self._rest = ""

    def write(self, text: str) -> int:
        if not self._block.is_open:
            # Somebody kept it: a handler of logging that was made while the block was there.
            return self.stream.write(text)
        with self._block.lock:
            lines, newline, self._rest = (self._rest + text).rpartition("\n")
            if newline:
                self._block.above(self.stream, lines + newline)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.write(line)

    def end(self) -> None:
        """Write what no newline followed."""
        self.stream.write(self._rest)
        self.stream.flush()
        self._rest = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal; where it doesn't tell, what the environment says, or 80 x 24."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    if columns and lines:
        return columns, lines
    return shutil.get_terminal_size()
