"""Whether threads wait for Polars in vain: all of its own wait for a memo, whose function uses Polars."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

_POLARS = os.path.dirname(pl.__file__) + os.sep
# Who stands still in Polars for so long, while the process computes for less than this share of it.
_LONG_S, _SHARE = 10.0, 0.1


class _Since(NamedTuple):
    frame: int
    instruction: int
    wall_s: float
    cpu_s: float


class Standstill:
    """Where threads are, each time that it is told to look."""

    def __init__(self) -> None:
        self._since: dict[int, _Since] = {}

    def look(self, threads: Iterable[int]) -> bool:
        """Whether one of some threads has stood still in Polars, and nobody in this process does anything."""
        frames, since = sys._current_frames(), dict[int, _Since]()
        wall, cpu = time.monotonic(), time.process_time()
        for thread in threads:
            frame = frames.get(thread)
            if frame is not None and frame.f_code.co_filename.startswith(_POLARS):
                now = _Since(id(frame), frame.f_lasti, wall, cpu)
                known = self._since.get(thread, now)
                since[thread] = known if known[:2] == now[:2] else now
        self._since = since
        return any(
            wall - known.wall_s >= _LONG_S and cpu - known.cpu_s <= _SHARE * (wall - known.wall_s)
            for known in since.values()
        )
