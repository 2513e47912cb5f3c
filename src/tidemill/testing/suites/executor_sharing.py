"""What an engine promises whose worker classes share a machine: budgets, devices, and who goes first.

The fixture `executor` is an engine with room for two tasks of one CPU at once, made with `CLASSES` and
with two devices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent, WorkerClass
from tidemill.testing.suites.executor import PATIENCE_S, done, fates, kept_busy, started, task

MB = 1_000_000
CLASSES = {
    "nice": WorkerClass(niceness=5),
    "narrow": WorkerClass(memory=100 * MB),
    "later": WorkerClass(deferrable=True),
}


# What a task does, and how often of a hundred.
_MIX: dict[tuple[str, bytes], int] = {
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
    """Promises about tasks of several worker classes."""

    # So many tasks of all sorts at once.
    crowd = 40

    def test_a_class_may_let_others_have_the_cpu_first(self, executor: Executor) -> None:
        usual, nice = done(
            executor, task("1", "niceness"), task("2", "niceness", worker_class="nice")
        )
        assert int(nice.result) == min(19, int(usual.result) + 5)

    def test_caps_of_a_class_stay_in_its_budget(self, executor: Executor) -> None:
        tasks = [
            task(str(number), "sleep", params=b"0.2", worker_class="narrow", memory=60 * MB)
            for number in range(3)
        ]
        # Alone it wants more than there is: it has it to itself.
        large = task("large", "sleep", params=b"0.1", worker_class="narrow", memory=200 * MB)
        for each in (*tasks, large):
            executor.submit(each)
        events = until_ended(executor, ["0", "1", "2", "large"])
        assert {event.fate for event in events} == {Fate.STARTED, Fate.OK}
        assert most_at_once(events) == 1

    def test_a_class_without_room_holds_up_no_other(self, executor: Executor) -> None:
        for name in ("0", "1"):
            slow = task(name, "sleep", params=b"600", worker_class="narrow", memory=60 * MB)
            executor.submit(slow)
        started(executor, "0")
        assert done(executor, task("other"))[0].fate is Fate.OK
        executor.cancel("1")
        executor.cancel("0")
        assert {event.fate for event in fates(executor, "01").values()} == {Fate.CANCELLED}

    def test_what_is_deferrable_delays_nothing_urgent(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        for name in ("0", "1"):
            executor.submit(task(name, "sleep", params=b"600", worker_class="later"))
        started(executor, "0", "1")
        # All room is taken, and yet they begin, as many at once as there were without the others.
        gate = tmp_path / "gate"
        gate.touch()
        urgent = [task(f"urgent {number}", "linger", params=bytes(gate)) for number in range(6)]
        executor.submit(task("late", worker_class="later", priority=9))
        for each in urgent:
            executor.submit(each)
        events = until_started(executor, 2)
        gate.unlink()
        events += until_ended(executor, [each.id for each in urgent])
        assert most_at_once(events) == 2
        assert "late" not in {event.task for event in events if event.fate is Fate.STARTED}
        executor.cancel("0")
        executor.cancel("1")
        found = fates(executor, ["0", "1", "late"])
        assert found["late"].fate is Fate.OK

    def test_what_is_deferrable_begins_after_what_is_urgent(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        with kept_busy(executor, tmp_path / "gate", "large", cpus=2):
            for number in range(3):
                executor.submit(task(f"later {number}", worker_class="later", priority=number))
                executor.submit(task(f"urgent {number}"))
        names = [f"{kind} {number}" for kind in ("urgent", "later") for number in range(3)]
        events = until_ended(executor, [*names, "large"])
        order = [event.task for event in events if event.fate is Fate.STARTED]
        assert order == [*names[:3], "later 2", "later 1", "later 0"]

    def test_a_large_task_is_not_passed_by_for_ever(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Small ones that come later would always find room before it does."""
        with kept_busy(executor, tmp_path / "gate", "first"):
            executor.submit(task("large", cpus=2))
            for number in range(20):
                executor.submit(task(str(number), "sleep", params=b"0.02"))
        names = ["first", "large", *map(str, range(20))]
        events = until_ended(executor, names)
        order = [event.task for event in events if event.fate is Fate.STARTED]
        assert order[0] == "large"

    def test_no_two_tasks_have_a_device(self, executor: Executor, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        gate.touch()
        for name in "012":
            executor.submit(task(name, "devices", params=b"0", inputs=(str(gate),), gpus=1))
        begun = [event.task for event in until_started(executor, 2)]
        gate.unlink()
        found = fates(executor, "012")
        assert {found[name].result for name in begun} == {b"0", b"1"}
        assert {event.result for event in found.values()} == {b"0", b"1"}
        (both,) = done(executor, task("both", "devices", params=b"0", gpus=2))
        assert both.result == b"0,1"

    def test_only_what_wants_devices_is_told_of_them(
        self, executor: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "as it was")
        assert done(executor, task("1", "devices", params=b"0"))[0].result == b"as it was"

    def test_more_devices_than_there_are_is_refused(self, executor: Executor) -> None:
        with pytest.raises(UsageError, match="gpus=3"):
            executor.submit(task("1", gpus=3))

    def test_whatever_comes_together_each_task_ends_once(self, executor: Executor) -> None:
        chance = random.Random(11)
        tasks = [any_task(str(number), chance) for number in range(self.crowd)]
        gpus = {each.id: each.gpus for each in tasks}
        for each in tasks:
            executor.submit(each)
            if chance.random() < 0.05:
                executor.cancel(str(chance.randrange(self.crowd)))
        events = until_ended(executor, gpus, patience_s=3 * max(PATIENCE_S, self.crowd))
        ends = [event.task for event in events if event.fate is not Fate.STARTED]
        assert sorted(ends) == sorted(gpus)
        running = set[str]()
        for event in events:
            (running.add if event.fate is Fate.STARTED else running.discard)(event.task)
            assert sum(gpus[name] for name in running) <= 2
        # Nothing of what they had is still taken.
        assert done(executor, task("all", cpus=2, gpus=2))[0].fate is Fate.OK


def any_task(name: str, chance: random.Random) -> Task:
    """A task of any sort: what it does, what it wants, and of which class it is."""
    function, params = chance.choices([*_MIX], [*_MIX.values()])[0]
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


def until_ended(
    executor: Executor, names: Iterable[str], *, patience_s: float = PATIENCE_S
) -> list[TaskEvent]:
    """All events until each of some tasks has ended."""
    left, found = {*names}, list[TaskEvent]()
    end = time.monotonic() + patience_s
    while left and time.monotonic() < end:
        for event in executor.events(0.2):
            found.append(event)
            if event.fate is not Fate.STARTED:
                left.discard(event.task)
    assert not left
    return found


def until_started(executor: Executor, number: int) -> list[TaskEvent]:
    """The events until so many tasks have started; none of them may end before."""
    found = list[TaskEvent]()
    end = time.monotonic() + PATIENCE_S
    while len(found) < number and time.monotonic() < end:
        found += executor.events(0.2)
    assert [event.fate for event in found] == [Fate.STARTED] * number
    return found


def most_at_once(events: Iterable[TaskEvent]) -> int:
    """How many tasks were at work at once, of those that began in these events."""
    return max(_running(events), default=0)


def _running(events: Iterable[TaskEvent]) -> Iterator[int]:
    running = set[str]()
    # Events of one moment: what ended makes room for what began.
    for event in sorted(events, key=lambda event: (event.at, event.fate is Fate.STARTED)):
        if event.fate is Fate.STARTED:
            running.add(event.task)
        else:
            running.discard(event.task)
        yield len(running)
