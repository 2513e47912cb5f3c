"""Decide how many processes serve, from how busy each of them was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from tidemill.core.lazy_dataclass import dataclass

# A process that is busy for this share of a second has no time for more.
BUSY = 0.85
# One process less must leave the others this busy at most.
ROOM = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLoad:
    """How busy a process was, and the requests that wait for a model now.

    `busy` are the seconds of a second in which it used a CPU, or waited for one. It has so many open
    `connections`.
    """

    busy: float
    queued: int = 0
    connections: int = 0

    @property
    def is_full(self) -> bool:
        """Whether requests queue: in it, or, since it has no time to accept them, in front of it."""
        return self.queued > 0 or self.busy >= BUSY


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerScaling:
    """How many processes are wanted, from 1 to `most`.

    One more is wanted after all of them were full for `grow_s`, one less after there was room in the others
    for `release_s`. `full_since` and `idle_since` are when that began, in seconds of any clock.
    """

    most: int
    grow_s: float = 2.0
    release_s: float = 60.0
    wanted: int = 1
    full_since: float | None = None
    idle_since: float | None = None

    def observe(self, loads: Sequence[ProcessLoad], now: float) -> WorkerScaling:
        """Return the scaling after the loads of all running processes at a time."""
        if len(loads) != self.wanted:
            # A process is starting or ending: what the others do now says little.
            return replace(self, full_since=None, idle_since=None)
        if self.wanted < self.most and all(load.is_full for load in loads):
            since = now if self.full_since is None else self.full_since
            if now - since >= self.grow_s:
                return replace(self, wanted=self.wanted + 1, full_since=None, idle_since=None)
            return replace(self, full_since=since, idle_since=None)
        if self.wanted > 1 and _fits_in_fewer(loads):
            since = now if self.idle_since is None else self.idle_since
            if now - since >= self.release_s:
                return replace(self, wanted=self.wanted - 1, full_since=None, idle_since=None)
            return replace(self, full_since=None, idle_since=since)
        return replace(self, full_since=None, idle_since=None)


def surplus_connections(loads: Sequence[ProcessLoad]) -> list[int]:
    """How many connections each process closes, so that callers come back to those that have time.

    Connections stay with the process that accepted them. A full process closes half of those that it has
    beyond the average; while all are full, only if these are more than a quarter of the average.
    """
    average = sum(load.connections for load in loads) / len(loads)
    kept = average + (max(1.0, average / 4) if all(load.is_full for load in loads) else 0.0)
    return [
        ceil((load.connections - average) / 2) if load.is_full and load.connections > kept else 0
        for load in loads
    ]


def _fits_in_fewer(loads: Sequence[ProcessLoad]) -> bool:
    queued = any(load.queued for load in loads)
    return not queued and sum(load.busy for load in loads) <= ROOM * (len(loads) - 1)
