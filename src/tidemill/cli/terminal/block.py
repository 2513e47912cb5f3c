"""Lines at the foot of a terminal that are drawn again and again, while others write above them."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO, cast

# Whoever prints more often than that has the lines drawn by the clock, not by every print.
_PRINTED_S = 0.05
_ERASE = "\r\x1b[J"
# A line that turns out wider than it should is cut by the terminal, and takes no second line.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"


class Block:
    """Lines at the foot of a terminal; the cursor stays above them, on an empty line.

    So what anybody else writes (a worker process, a library in C, the user's keyboard) stands above them,
    and they are drawn anew below it. No mode of the terminal is left changed between two writes: when
    the process is killed there is nothing to put right.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
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
            if stream is not None and stream.isatty():
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

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines instead of those before; they must leave a line of the terminal free."""
        with self.lock:
            self._lines = lines
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

    def __init__(self, stream: TextIO, block: Block) -> None:
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


def size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of the terminal; where it doesn't tell, what the environment says, or 80 x 24."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    if columns and lines:
        return columns, lines
    return shutil.get_terminal_size()
