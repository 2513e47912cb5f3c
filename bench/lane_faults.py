"""What is left, lost or doubled when workers, or the one who holds them, are killed."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor as Loky

from bench import lane_tasks
from bench.common import BENCH, PYTHON
from bench.lane_speed import LONG_S, bench_lane, drained, finals, task
from bench.processes import (
    Seen,
    children,
    descriptors,
    resident,
    seen,
    state,
    threads,
    until_gone,
    workers,
)
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.ports.execution import Fate, Task, TaskEvent

ME = os.getpid()


def recovery() -> dict[str, Any]:
    """Seconds from kill -9 until it is told, and until the next task is at work in a new worker."""
    told, again, disturbed = [], [], 0
    with bench_lane(max_workers=2, idle_s=LONG_S) as lane:
        for turn in range(9):
            for name in ("killed", "other"):
                lane.submit(task(f"{turn} {name}", "arrive", b"1.5"))
            victim = _started(lane, {f"{turn} killed", f"{turn} other"})[f"{turn} killed"]
            lane.submit(task(f"{turn} next", "arrive", b"0"))
            # It is well at work by now, and its worker's companion, too.
            time.sleep(0.2)
            killed = time.time()
            os.kill(victim, signal.SIGKILL)
            for event in finals(lane, 3):
                if event.task.endswith("killed"):
                    told.append(event.at - killed)
                elif event.task.endswith("next"):
                    again.append(float(event.result.split()[1]) - killed)
                disturbed += not event.task.endswith("killed") and event.fate is not Fate.OK
    return {"told_s": told, "again_s": again, "disturbed": disturbed, "loky": _loky_disturbed()}


def _started(lane: ProcessLane, names: set[str]) -> dict[str, int]:
    """The workers of tasks, once all of them have begun."""
    found: dict[str, int] = {}
    while names - found.keys():
        for event in lane.events(60.0):
            if event.fate is Fate.STARTED:
                found[event.task] = int(event.worker)
    return found


def _loky_disturbed() -> int:
    """How many of 19 other tasks fail when one worker of two is killed."""
    with Loky(2, timeout=LONG_S) as pool:
        pool.submit(lane_tasks.nothing).result()
        futures = [pool.submit(lane_tasks.rest, b"0.2") for _ in range(20)]
        time.sleep(0.1)
        os.kill(workers(ME)[0], signal.SIGKILL)
        return sum(future.exception() is not None for future in futures) - 1


class Chaos:
    """Tasks that are handed in again when they are lost, and workers that are killed at random."""

    def __init__(
        self, lane: ProcessLane, folder: Path, function: str, *, tasks: int, kills: int
    ) -> None:
        self._lane, self._folder, self._function, self._tasks = lane, folder, function, tasks
        self._chance = random.Random(7)
        # One kill for each of these counts of tasks that are done.
        self._moments = sorted(self._chance.sample(range(tasks - 100), kills), reverse=True)
        self.kills = self.disturbed = 0
        self._killed: set[str] = set()
        self.attempts: Counter[int] = Counter()
        # Final events by attempt, and why what was lost was lost.
        self.fates: dict[str, list[Fate]] = {}
        self.reasons: Counter[str] = Counter()

    def play(self) -> None:
        """Kill, and hand in a new task for each that is done, until all are."""
        rest = iter(range(self._tasks))
        for number in islice(rest, 20):
            self._submit(number)
        done = 0
        while done < self._tasks:
            self._kill(done)
            found = [*self._lane.events(30.0)]
            if not found:
                raise TimeoutError(f"{self._tasks - done} tasks have no fate after 30 s")
            for event in found:
                if event.fate is not Fate.STARTED and self._ended(event):
                    done += 1
                    for number in islice(rest, 1):
                        self._submit(number)

    def _submit(self, number: int) -> None:
        self.attempts[number] += 1
        name = f"{number}.{self.attempts[number]}"
        output = str(self._folder / name)
        self._lane.submit(task(name, self._function, name.encode(), output=output))

    def _ended(self, event: TaskEvent) -> bool:
        self.fates.setdefault(event.task, []).append(event.fate)
        if event.error is not None:
            self.reasons[event.error.type] += 1
        self.disturbed += event.fate is not Fate.OK and event.worker not in self._killed
        if event.fate is not Fate.OK:
            self._submit(int(event.task.split(".")[0]))
        return event.fate is Fate.OK

    def _kill(self, done: int) -> None:
        if self._moments and self._moments[-1] <= done and (there := workers(ME)):
            with suppress(ProcessLookupError):
                victim = self._chance.choice(there)
                os.kill(victim, signal.SIGKILL)
                self._killed.add(str(victim))
                self._moments.pop()
                self.kills += 1

    def found(self) -> dict[str, Any]:
        """What the files say, against what was told."""
        files = {path.name: path.read_bytes() for path in self._folder.iterdir()}
        fine = {name for name, fates in self.fates.items() if Fate.OK in fates}
        published = Counter(int(name.split(".")[0]) for name in files if name[-1].isdigit())
        counted = Counter(fate for fates in self.fates.values() for fate in fates)
        return {
            "kills": self.kills,
            "disturbed": self.disturbed,
            "attempts": sum(self.attempts.values()),
            "fates": dict(counted),
            "reasons": dict(self.reasons),
            "not_once": sum(
                len(self.fates.get(f"{number}.{attempt}", ())) != 1
                for number, most in self.attempts.items()
                for attempt in range(1, most + 1)
            ),
            "lost": sum(not published[number] for number in range(self._tasks)),
            "doubled": sum(count > 1 for count in published.values()),
            "unlike": len(files.keys() ^ fine),
            "broken": sum(body != lane_tasks.whole(name.encode()) for name, body in files.items()),
        }


def chaos(folder: str, function: str) -> dict[str, Any]:
    """200 random kills over 1,000 tasks, each of which writes a file."""
    place = Path(folder) / function
    place.mkdir()
    begun = time.monotonic()
    with bench_lane(max_workers=4) as lane:
        game = Chaos(lane, place, function, tasks=1000, kills=200)
        game.play()
    return {**game.found(), "took_s": time.monotonic() - begun}


def leaks() -> dict[str, Any]:
    """What 10,000 tasks in 20 waves leave behind; in each wave one task raises, and one ends its worker."""
    waves, size = 20, 500
    with bench_lane(max_workers=2, idle_s=0.05) as lane:
        # What is made once, such as arenas of memory, was made by then.
        for number in range(4):
            _wave(lane, f"warm {number}", size)
        before = _here()
        for number in range(waves):
            _wave(lane, str(number), size)
        after = _here()
        zombies = sum(state(each) == "Z" for each in children(ME))
    left = len([*children(ME)])
    return {"before": before, "after": after, "zombies": zombies, "left": left}


def _wave(lane: ProcessLane, name: str, size: int) -> None:
    tests = "tidemill.testing.suites.executor_tasks"
    lane.submit(Task(id=f"{name} raises", function=f"{tests}:two_arguments"))
    lane.submit(Task(id=f"{name} dies", function=f"{tests}:die", params=b"SIGKILL"))
    for number in range(size - 2):
        lane.submit(task(f"{name} {number}", "nothing"))
    counted = Counter(event.fate for event in finals(lane, size))
    if counted != {Fate.OK: size - 2, Fate.ERROR: 1, Fate.LOST: 1}:
        raise RuntimeError(f"the tasks of a wave ended as {counted}")
    until_gone(20.0)
    # Whoever is gone is waited for and forgotten a moment later.
    time.sleep(0.1)


def _here() -> dict[str, int]:
    gc.collect()
    return {
        "descriptors": descriptors(ME),
        "threads": threads(ME),
        "resident": resident(ME),
    }


def abandon(note: str) -> None:
    """Be at work in 4 workers in different ways, say so, and wait to be killed."""
    with bench_lane(max_workers=4, idle_s=LONG_S) as lane:
        drained(lane, (task(f"idle {number}", "rest", b"0.3") for number in range(4)))
        lane.submit(task("sleeps", "rest", b"60"))
        lane.submit(Task(id="deaf", function="tidemill.testing.suites.executor_tasks:deaf"))
        lane.submit(task("starts", "start_child", note.encode()))
        _started(lane, {"sleeps", "deaf", "starts"})
        while not Path(note).exists():
            time.sleep(0.01)
        print("ready", flush=True)
        time.sleep(60)


def orphans(folder: str) -> dict[str, Any]:
    """How many processes are left when their parent was killed, and after how many seconds none was."""
    note = Path(folder) / "child"
    note.unlink(missing_ok=True)
    command = [PYTHON, "-m", "bench.inside_lane", "abandon", str(note)]
    parent = subprocess.Popen(
        command, cwd=BENCH.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    if parent.stdout.readline() != b"ready\n":
        raise RuntimeError("the parent that is to be killed didn't come as far")
    child = int(note.read_text())
    there = {each for each in map(seen, children(parent.pid)) if each is not None}
    if not all(each.alive for each in there):
        raise RuntimeError("not all that the parent started was there when it was killed")
    killed = time.monotonic()
    parent.kill()
    parent.wait()
    while _alive(there) and time.monotonic() - killed < 3.0:
        time.sleep(0.005)
    took, left = time.monotonic() - killed, _alive(there)
    for each in left:
        with suppress(ProcessLookupError):
            os.kill(each.id, signal.SIGKILL)
    users = sum(each.id == child for each in left)
    return {"took_s": took, "there": len(there), "workers": len(left) - users, "users": users}


def _alive(processes: Iterable[Seen]) -> list[Seen]:
    return [each for each in processes if each.alive]
