"""What is held while there is work now and then: bursts, the way up to all workers, and back to none."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from loky import get_reusable_executor

from bench import lane_tasks
from bench.lane_speed import bench_lane, drained, task
from bench.processes import Watch, resident, until_gone, workers

MOST = 4
BURSTS, TASKS, TASK_S, APART_S = 3, 40, 0.25, 20.0
# After the last burst nobody is waited for longer: less is counted for those who never let go.
PATIENCE_S = 20.0

Burst = Callable[[int], None]


def bursts(engine: str, idle_s: str) -> dict[str, Any]:
    """Worker seconds that were held and busy, and how long each burst and each release took."""
    took, ends, starts = [], [], []
    with Watch() as watch, _bursting(engine, float(idle_s)) as burst:
        first = time.monotonic()
        for number in range(BURSTS):
            time.sleep(max(0.0, first + number * APART_S - time.monotonic()))
            starts.append(time.monotonic())
            burst(number)
            ends.append(time.monotonic())
            took.append(ends[-1] - starts[-1])
        until_gone(PATIENCE_S)
        # The watch has to see it, too.
        time.sleep(0.1)
    until = [*starts[1:], float("inf")]
    gone = [watch.gone(end, limit) for end, limit in zip(ends, until, strict=True)]
    return {
        "busy_s": BURSTS * TASKS * TASK_S,
        "held_s": watch.held_s,
        "took_s": took,
        "release_s": [at and at - end for at, end in zip(gone, ends, strict=True)],
        "most": max(count for _, count in watch.counts),
    }


@contextmanager
def _bursting(engine: str, idle_s: float) -> Iterator[Burst]:
    rest = str(TASK_S).encode()
    if engine == "lane":
        with bench_lane(max_workers=MOST, idle_s=idle_s) as lane:

            def by_lane(number: int) -> None:
                drained(lane, (task(f"{number} {n}", "rest", rest) for n in range(TASKS)))

            yield by_lane
    else:

        def by_loky(number: int) -> None:
            pool = get_reusable_executor(MOST, timeout=idle_s)
            for future in [pool.submit(lane_tasks.rest, rest) for _ in range(TASKS)]:
                future.result()

        yield by_loky


def growth() -> dict[str, Any]:
    """Seconds from nothing until 4 workers are at work, and from the last answer until none is left."""
    idle_s, up, down = 1.0, [], []
    with bench_lane(max_workers=MOST, idle_s=idle_s) as lane:
        before = _held()
        for turn in range(5):
            begun = time.time()
            tasks = (task(f"{turn} {n}", "arrive", b"1.0") for n in range(MOST))
            events = drained(lane, tasks)
            ended = time.monotonic()
            up.append(_all_there([event.result for event in events]) - begun)
            down.append(until_gone(PATIENCE_S) - ended)
        for number in range(MOST):
            lane.submit(task(f"hold {number}", "hold", b"200000000"))
        grown = 0
        while lane.capacity().waiting or lane.capacity().busy:
            grown = max(grown, _held() - before)
            time.sleep(0.05)
        until_gone(PATIENCE_S)
        kept = _held() - before
    return {
        "up_s": up,
        "down_s": down,
        "idle_s": idle_s,
        "grown": grown,
        "kept": kept,
        "pool_up_s": [_pool_up() for _ in range(3)],
        "loky_up_s": [_loky_up() for _ in range(3)],
    }


def _held() -> int:
    """Bytes of this process and of its workers."""
    return sum(map(resident, [os.getpid(), *workers(os.getpid())]))


def _all_there(told: list[bytes]) -> float:
    """When the last of 4 workers began (Unix seconds); RuntimeError if there weren't as many."""
    found = {each.split()[0]: float(each.split()[1]) for each in told}
    if len(found) < MOST:
        raise RuntimeError(f"only {len(found)} of {MOST} workers came within a second")
    return max(found.values())


def _pool_up() -> float:
    with ProcessPoolExecutor(MOST, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _pool_there(pool)


def _loky_up() -> float:
    pool = get_reusable_executor(MOST, timeout=1, reuse=False)
    took = _pool_there(pool)
    pool.shutdown()
    return took


def _pool_there(pool: Any) -> float:
    begun = time.time()
    futures = [pool.submit(lane_tasks.arrive, b"1.0") for _ in range(MOST)]
    return _all_there([future.result() for future in futures]) - begun
