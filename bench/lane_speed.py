"""What a task costs: alone, by the thousands, and with a large table. Each job gives plain figures."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor as Loky

from bench import lane_tasks
from bench.common import ROOT
from bench.processes import cpu_s, workers
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.ports.execution import Fate, Task, TaskEvent

# Both are on for every task whose cost is measured, and neither is ever reached.
LIMITS: dict[str, Any] = {"timeout_s": 60.0, "memory": 4 << 30}
LONG_S = 600.0


def bench_lane(**options: Any) -> ProcessLane:
    """A lane whose workers can import `bench`: they don't look in the folder that they are started in."""
    os.environ["PYTHONPATH"] = str(ROOT)
    return ProcessLane(**options)


def task(name: object, function: str, /, params: bytes = b"", **options: Any) -> Task:
    """A task that calls a function of `lane_tasks`."""
    return Task(id=str(name), function=f"bench.lane_tasks:{function}", params=params, **options)


def finals(lane: ProcessLane, count: int, patience_s: float = 60.0) -> Iterator[TaskEvent]:
    """So many final events as they come; TimeoutError when none comes for so long."""
    while count:
        found = [*lane.events(patience_s)]
        if not found:
            raise TimeoutError(f"{count} tasks have no fate after {patience_s:g} s")
        for event in found:
            if event.fate is not Fate.STARTED:
                count -= 1
                yield event


def drained(lane: ProcessLane, tasks: Iterable[Task]) -> list[TaskEvent]:
    """Run tasks; their final events. RuntimeError for any that isn't OK."""
    count = 0
    for each in tasks:
        lane.submit(each)
        count += 1
    events = [*finals(lane, count)]
    if bad := [event for event in events if event.fate is not Fate.OK]:
        raise RuntimeError(f"{len(bad)} of {count} tasks failed, such as {bad[0]}")
    return events


@contextmanager
def pools(most: int) -> Iterator[dict[str, Any]]:
    """The lane and the pools that it is held against, with as many workers each; none is let go."""
    spawn = multiprocessing.get_context("spawn")
    with (
        bench_lane(max_workers=most, idle_s=LONG_S) as lane,
        ProcessPoolExecutor(most, mp_context=spawn) as pool,
        Loky(most, timeout=LONG_S) as loky,
    ):
        yield {"lane": lane, "pool": pool, "loky": loky}


def overhead() -> dict[str, Any]:
    """Milliseconds of a no-op and back, one at a time, and CPU milliseconds of all processes, by engine."""
    blocks, size = 40, 50
    numbers = iter(range(10**9))

    def by_lane(lane: ProcessLane) -> None:
        drained(lane, [task(next(numbers), "nothing", **LIMITS)])

    def by_pool(pool: Any) -> None:
        pool.submit(lane_tasks.nothing).result()

    walls: dict[str, list[float]] = {"lane": [], "pool": [], "loky": []}
    spent = dict.fromkeys(walls, 0.0)
    with pools(1) as engines:
        turns: dict[str, Callable[[], None]] = {
            "lane": partial(by_lane, engines["lane"]),
            "pool": partial(by_pool, engines["pool"]),
            "loky": partial(by_pool, engines["loky"]),
        }
        everybody = _whose(turns)
        for turn in turns.values():
            for _ in range(200):
                turn()
        for _ in range(blocks):
            for name, turn in turns.items():
                before = _cpu(everybody[name])
                for _ in range(size):
                    begun = time.perf_counter()
                    turn()
                    walls[name].append((time.perf_counter() - begun) * 1000)
                spent[name] += _cpu(everybody[name]) - before
    return {
        "wall_ms": {name: statistics.median(each) for name, each in walls.items()},
        "cpu_ms": {name: each * 1000 / (blocks * size) for name, each in spent.items()},
    }


def _whose(turns: dict[str, Callable[[], None]]) -> dict[str, set[int]]:
    """The workers of each engine: those that came with its first task."""
    found: dict[str, set[int]] = {}
    known: set[int] = set()
    for name, turn in turns.items():
        turn()
        now = {*workers(os.getpid())}
        found[name], known = now - known, now
    return found


def _cpu(processes: set[int]) -> float:
    return time.process_time() + sum(map(cpu_s, processes))


def tiny() -> dict[str, Any]:
    """No-ops a second, 10,000 at once, in as many workers as there are cores; CPU milliseconds for one."""
    count, rounds, most = 10_000, 3, os.cpu_count() or 1
    rates: dict[str, list[float]] = {"lane": [], "pool": [], "loky": []}
    spent: dict[str, list[float]] = {name: [] for name in rates}

    def by_lane(lane: ProcessLane, first: int, number: int) -> None:
        drained(lane, (task(first + n, "nothing", **LIMITS) for n in range(number)))

    def by_pool(pool: Any, first: int, number: int) -> None:
        for future in [pool.submit(lane_tasks.nothing) for _ in range(number)]:
            future.result()

    with pools(most) as engines:
        turns = {
            "lane": partial(by_lane, engines["lane"]),
            "pool": partial(by_pool, engines["pool"]),
            "loky": partial(by_pool, engines["loky"]),
        }
        everybody = _whose({name: partial(turn, 0, 500) for name, turn in turns.items()})
        for index in range(1, rounds + 1):
            for name, turn in turns.items():
                before, begun = _cpu(everybody[name]), time.perf_counter()
                turn(index * count, count)
                rates[name].append(count / (time.perf_counter() - begun))
                spent[name].append((_cpu(everybody[name]) - before) * 1000 / count)
    return {"rates": rates, "cpu_ms": {name: min(each) for name, each in spent.items()}}


def table(folder: str) -> dict[str, Any]:
    """Seconds until 8 tasks have read a table of 100 MB, and what their processes grew by (bytes)."""
    import numpy as np
    import polars as pl

    values = np.random.default_rng(7).random((10, 1_250_000))
    frame = pl.DataFrame({f"c{n}": column for n, column in enumerate(values)})
    paths = {end: str(Path(folder) / f"table.{end}") for end in ("arrow", "parquet", "npy")}
    begun = time.perf_counter()
    frame.write_ipc(paths["arrow"], compression="uncompressed")
    written = time.perf_counter() - begun
    frame.write_parquet(paths["parquet"])
    np.save(paths["npy"], values)
    ways = {
        "arrow": ("scan", "arrow"),
        "parquet": ("scan", "parquet"),
        "mapped": ("mapped", "npy"),
        "eager": ("eager", "arrow"),
    }
    found: dict[str, Any] = {"written_s": written, "bytes": frame.estimated_size()}
    most = os.cpu_count() or 1
    for name, (reader, end) in ways.items():
        # New workers for each: memory that a reader let go of would be there for the next one.
        with bench_lane(max_workers=most, idle_s=LONG_S) as lane:
            took, grown = _read(lane, reader, paths[end], f"{folder}/small.{end}", frame.head(10))
        found[name] = {"took_s": took, "grown": grown}
    found["pool"] = _pickled(frame, most)
    return found


def _read(
    lane: ProcessLane, reader: str, path: str, small: str, few: Any
) -> tuple[list[float], int]:
    """Three times the seconds of 8 tasks, and the most that a process grew by."""
    import numpy as np

    writers = {"arrow": "write_ipc", "parquet": "write_parquet"}
    if end := writers.get(small.rpartition(".")[2]):
        getattr(few, end)(small)
    else:
        np.save(small, few.to_numpy())
    # The workers are there and have imported what they need, as in the pool beside it.
    warm = [task(f"warm {n}", "rest", b"0.3") for n in range(os.cpu_count() or 1)]
    drained(lane, warm)
    warm = [task(f"small {n}", "add_up", reader.encode(), inputs=(small,)) for n in range(8)]
    drained(lane, warm)
    took, grown = [], 0
    for turn in range(3):
        tasks = [
            task(f"{turn} {n}", "add_up", reader.encode(), inputs=(path,), **LIMITS)
            for n in range(8)
        ]
        begun = time.perf_counter()
        events = drained(lane, tasks)
        took.append(time.perf_counter() - begun)
        grown = max([grown, *(int(event.result) for event in events)])
    return took, grown


def _pickled(frame: Any, most: int) -> list[float]:
    took = []
    with ProcessPoolExecutor(most, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in [pool.submit(lane_tasks.add_up_frame, frame.head(10)) for _ in range(8)]:
            future.result()
        for _ in range(2):
            begun = time.perf_counter()
            for future in [pool.submit(lane_tasks.add_up_frame, frame) for _ in range(8)]:
                future.result()
            took.append(time.perf_counter() - begun)
    return took
