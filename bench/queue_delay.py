"""When to refuse requests that wait: refused, wasted and late ones for several rules, in a simulation.

Requests come at random at a share of what one worker can answer. `python -m bench.queue_delay`
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.common import Row, drive
from tidemill.serving import standing_queue
from tidemill.serving.standing_queue import StandingQueue

SECONDS = 20.0
EACH_S = (0.0001, 0.0015, 0.005)
LOADS = (0.85, 1.2, 3.0)
ALLOWED = (5, 10, 64)


class Outcome(NamedTuple):
    """The share of requests that were refused, of the time that the worker was busy, and the waits."""

    refused: float
    busy: float
    waits_s: list[float]


def played(each_s: float, load: float, allowed: int) -> Outcome:
    """Let one worker take requests one by one, each for `each_s`."""
    chance, queue = random.Random(1), StandingQueue[float](allowed)
    now = idle = arrives = 0.0
    waits, refused = [], 0
    while now < SECONDS:
        while arrives <= now:
            queue.add(arrives, arrives)
            arrives += chance.expovariate(load / each_s)
        if not queue:
            idle += arrives - now
            now = arrives
            continue
        taken = queue.take(now, 1)
        refused += len(taken.refused)
        now += each_s
        waits += [now - arrived for arrived in taken.begun]
    return Outcome(refused / (refused + len(waits)), 1 - idle / now, sorted(waits))


def rules(each_s: float) -> list[Row]:
    """What each rule refuses, and what those wait that it doesn't."""
    rows = []
    for load in LOADS:
        for allowed in ALLOWED:
            found = played(each_s, load, allowed)
            place = f"{each_s * 1000:g} ms each, {load:g} x capacity, {allowed} allowed"
            p50, p99 = (found.waits_s[int(len(found.waits_s) * at)] / each_s for at in (0.5, 0.99))
            waits = f"answered after {p50:.1f} requests (median), {p99:.0f} (p99)"
            rows += [
                Row(name=f"refused, {place}", value=100 * found.refused, unit="%", baseline=waits),
                Row(name=f"busy, {place}", value=100 * found.busy, unit="%"),
            ]
    return rows


def parts_of(_: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    return {f"{each_s * 1000:g}ms": partial(rules, each_s) for each_s in EACH_S}


if __name__ == "__main__":
    print(f"late after {standing_queue.LATE_S * 1000:g} ms at least")
    drive("queue_delay", sys.argv[1:], parts_of)
