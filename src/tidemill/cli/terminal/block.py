"""Redraw lines at the bottom of a terminal while other output scrolls above them."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, TextIO, cast

# Prints that follow each other faster don't redraw the lines; the clock does.
_PRINTED_S = 0.05
_ERASE = "\r\x1b[J"
# Without wrapping, a line that is too wide is cut by the terminal and takes no second line.
_CUT, _WRAP = "\x1b[?7l", "\x1b[?7h"


class TerminalBlock:
    """Lines at the bottom of a terminal; the cursor stays above them, on an empty line.

    So other output (of a worker process, a C library, the keyboard) appears above the lines, and they
    are redrawn below it. Each write restores the modes of the terminal, so a killed process leaves
    nothing to repair.
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
        """Redirect what this process prints to above the lines."""
        self._open = True
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is not None and stream.isatty():
                self._prints[name] = _Above(stream, self)
                setattr(sys, name, cast(TextIO, self._prints[name]))

    def close(self) -> None:
        """Erase the lines and restore the streams."""
        for name, above in self._prints.items():
            # Another stream that was installed meanwhile isn't ours to remove.
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
        """Show these lines instead of the last ones; they must leave one line of the terminal free."""
        with self.lock:
            self._lines = lines
            self._redraw()

    def write_above(self, stream: TextIO, text: str) -> None:
        """Write whole lines above the block; the caller holds the lock."""
        self._erase()
        stream.write(text)
        stream.flush()
        if self._lines and time.monotonic() - self._at > _PRINTED_S:
            self._redraw()

    @property
    def is_open(self) -> bool:
        """Whether this process draws the lines; a forked process doesn't."""
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
    """A stream on the block's terminal: writes whole lines above the block, and buffers the rest."""

    def __init__(self, stream: TextIO, block: TerminalBlock) -> None:
        self.stream = stream
        self._block = block
        self._rest = ""

    def write(self, text: str) -> int:
        if not self._block.is_open:
            # A logging handler that was created while the block was open still has this stream.
            return self.stream.write(text)
        with self._block.lock:
            lines, newline, self._rest = (self._rest + text).rpartition("\n")
            if newline:
                self._block.write_above(self.stream, lines + newline)
        return len(text)

    def writelines(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.write(line)

    def end(self) -> None:
        """Write the buffered text that has no newline."""
        self.stream.write(self._rest)
        self.stream.flush()
        self._rest = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """The columns and lines of the terminal, else those in the environment, else 80 x 24."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = lines = 0
    if columns and lines:
        return columns, lines
    return shutil.get_terminal_size()
