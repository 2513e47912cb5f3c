"""Conformance suite for executors whose worker classes share a machine: budgets, devices, priority.

The fixture `executor` is an executor with room for two one-CPU tasks at once, with the worker classes
`CLASSES` and two devices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent, WorkerClass
from tidemill.testing.suites.executor import (
    PATIENCE_S,
    final_events,
    keep_busy,
    run_tasks,
    task,
    wait_until_started,
)

MB = 1_000_000
CLASSES = {
    "nice": WorkerClass(niceness=5),
    "narrow": WorkerClass(memory=100 * MB),
    "later": WorkerClass(deferrable=True),
}


# A task's function and parameters, with its share in percent.
_TASK_MIX: dict[tuple[str, bytes], int] = {
    ("echo", b"x"): 44,
    ("sleep", b"0.02"): 20,
    ("devices", b"0.02"): 10,
    ("hold", b"20000000"): 2,
    ("two_arguments", b""): 10,
    ("starve", b""): 4,
    ("die", b"SIGABRT"): 4,
    ("vanish", b""): 4,
    ("babble", b""): 2,
}


class SharingSuite:
    """Tests with tasks of several worker classes."""

    # The number of mixed tasks submitted at once.
    task_count = 40

    def test_a_class_can_lower_its_cpu_priority(self, executor: Executor) -> None:
        usual, nice = run_tasks(
            executor, task("1", "niceness"), task("2", "niceness", worker_class="nice")
        )
        assert int(nice.result) == min(19, int(usual.result) + 5)

    def test_caps_of_a_class_stay_in_its_budget(self, executor: Executor) -> None:
        tasks = [
            task(str(number), "sleep", params=b"0.2", worker_class="narrow", memory=60 * MB)
            for number in range(3)
        ]
        # Its cap alone exceeds the budget, so it runs alone.
        large = task("large", "sleep", params=b"0.1", worker_class="narrow", memory=200 * MB)
        for each in (*tasks, large):
            executor.submit(each)
        events = events_until_ended(executor, ["0", "1", "2", "large"])
        assert {event.fate for event in events} == {Fate.STARTED, Fate.OK}
        assert max_concurrent(events) == 1

    def test_a_full_class_blocks_no_other(self, executor: Executor) -> None:
        for name in ("0", "1"):
            slow = task(name, "sleep", params=b"600", worker_class="narrow", memory=60 * MB)
            executor.submit(slow)
        wait_until_started(executor, "0")
        assert run_tasks(executor, task("other"))[0].fate is Fate.OK
        executor.cancel("1")
        executor.cancel("0")
        assert {event.fate for event in final_events(executor, "01").values()} == {Fate.CANCELLED}

    def test_deferrable_tasks_delay_no_urgent_ones(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        for name in ("0", "1"):
            executor.submit(task(name, "sleep", params=b"600", worker_class="later"))
        wait_until_started(executor, "0", "1")
        # All CPUs are taken, yet urgent tasks start, as many at once as without deferrable ones.
        gate = tmp_path / "gate"
        gate.touch()
        urgent = [task(f"urgent {number}", "linger", params=bytes(gate)) for number in range(6)]
        executor.submit(task("late", worker_class="later", priority=9))
        for each in urgent:
            executor.submit(each)
        events = events_until_started(executor, 2)
        gate.unlink()
        events += events_until_ended(executor, [each.id for each in urgent])
        assert max_concurrent(events) == 2
        assert "late" not in {event.task for event in events if event.fate is Fate.STARTED}
        executor.cancel("0")
        executor.cancel("1")
        found = final_events(executor, ["0", "1", "late"])
        assert found["late"].fate is Fate.OK

    def test_deferrable_tasks_start_after_urgent_ones(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        with keep_busy(executor, tmp_path / "gate", "large", cpus=2):
            for number in range(3):
                executor.submit(task(f"later {number}", worker_class="later", priority=number))
                executor.submit(task(f"urgent {number}"))
        names = [f"{kind} {number}" for kind in ("urgent", "later") for number in range(3)]
        events = events_until_ended(executor, [*names, "large"])
        order = [event.task for event in events if event.fate is Fate.STARTED]
        assert order == [*names[:3], "later 2", "later 1", "later 0"]

    def test_a_large_task_is_not_starved(self, executor: Executor, tmp_path: Path) -> None:
        """Small tasks that arrive later would always find room first."""
        with keep_busy(executor, tmp_path / "gate", "first"):
            executor.submit(task("large", cpus=2))
            for number in range(20):
                executor.submit(task(str(number), "sleep", params=b"0.02"))
        names = ["first", "large", *map(str, range(20))]
        events = events_until_ended(executor, names)
        order = [event.task for event in events if event.fate is Fate.STARTED]
        assert order[0] == "large"

    def test_no_two_tasks_share_a_device(self, executor: Executor, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        gate.touch()
        for name in "012":
            executor.submit(task(name, "devices", params=b"0", inputs=(str(gate),), gpus=1))
        begun = [event.task for event in events_until_started(executor, 2)]
        gate.unlink()
        found = final_events(executor, "012")
        assert {found[name].result for name in begun} == {b"0", b"1"}
        assert {event.result for event in found.values()} == {b"0", b"1"}
        (both,) = run_tasks(executor, task("both", "devices", params=b"0", gpus=2))
        assert both.result == b"0,1"

    def test_only_tasks_with_devices_get_the_variable(
        self, executor: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "as it was")
        assert run_tasks(executor, task("1", "devices", params=b"0"))[0].result == b"as it was"

    def test_more_devices_than_exist_are_rejected(self, executor: Executor) -> None:
        with pytest.raises(UsageError, match="gpus=3"):
            executor.submit(task("1", gpus=3))

    def test_each_task_of_a_random_mix_ends_once(self, executor: Executor) -> None:
        chance = random.Random(11)
        tasks = [random_task(str(number), chance) for number in range(self.task_count)]
        gpus = {each.id: each.gpus for each in tasks}
        for each in tasks:
            executor.submit(each)
            if chance.random() < 0.05:
                executor.cancel(str(chance.randrange(self.task_count)))
        events = events_until_ended(executor, gpus, patience_s=3 * max(PATIENCE_S, self.task_count))
        ends = [event.task for event in events if event.fate is not Fate.STARTED]
        assert sorted(ends) == sorted(gpus)
        running = set[str]()
        for event in events:
            (running.add if event.fate is Fate.STARTED else running.discard)(event.task)
            assert sum(gpus[name] for name in running) <= 2
        # All their resources are free again.
        assert run_tasks(executor, task("all", cpus=2, gpus=2))[0].fate is Fate.OK


def random_task(name: str, chance: random.Random) -> Task:
    """A random task: its function, resources and worker class."""
    function, params = chance.choices([*_TASK_MIX], [*_TASK_MIX.values()])[0]
    return task(
        name,
        function,
        params,
        cpus=chance.choice([0.5, 1, 1, 1, 9]),
        memory=chance.choice([0, 0, 50 * MB, 90 * MB]),
        gpus=chance.choice([0, 0, 0, 0, 0, 1, 2]),
        timeout_s=chance.choice([None, PATIENCE_S]),
        priority=chance.randrange(3),
        worker_class=chance.choice(["default", "default", *CLASSES]),
    )


def events_until_ended(
    executor: Executor, names: Iterable[str], *, patience_s: float = PATIENCE_S
) -> list[TaskEvent]:
    """All events until each of these tasks has ended."""
    left, found = {*names}, list[TaskEvent]()
    end = time.monotonic() + patience_s
    while left and time.monotonic() < end:
        for event in executor.events(0.2):
            found.append(event)
            if event.fate is not Fate.STARTED:
                left.discard(event.task)
    assert not left
    return found


def events_until_started(executor: Executor, number: int) -> list[TaskEvent]:
    """The events until `number` tasks have started; fails if one ends before."""
    found = list[TaskEvent]()
    end = time.monotonic() + PATIENCE_S
    while len(found) < number and time.monotonic() < end:
        found += executor.events(0.2)
    assert [event.fate for event in found] == [Fate.STARTED] * number
    return found


def max_concurrent(events: Iterable[TaskEvent]) -> int:
    """The largest number of tasks that ran at the same time, according to these events."""
    return max(_running_counts(events), default=0)


def _running_counts(events: Iterable[TaskEvent]) -> Iterator[int]:
    running = set[str]()
    # Among simultaneous events, ends come before starts.
    for event in sorted(events, key=lambda event: (event.at, event.fate is Fate.STARTED)):
        if event.fate is Fate.STARTED:
            running.add(event.task)
        else:
            running.discard(event.task)
        yield len(running)
