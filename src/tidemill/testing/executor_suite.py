"""What every engine promises: each task has exactly one fate, told as what it is, and harms no other.

Subclass it in a test module and give it the fixture `executor`: an engine with room for two tasks of one
CPU at once, which is closed after the test.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tidemill.domain.task import Fate, Task, TaskEvent
from tidemill.ports import Executor

# Nothing here takes as long; a test that waits for so long fails.
PATIENCE_S = 30.0


def task(name: str, function: str = "echo", /, params: bytes = b"", **options: object) -> Task:
    """A task that calls a function of `tidemill.testing.tasks`."""
    at = f"tidemill.testing.tasks:{function}"
    return Task(id=name, function=at, params=params, **options)  # type: ignore[arg-type]


def fates(executor: Executor, names: Iterable[str]) -> dict[str, TaskEvent]:
    """The final event of each task; fails for a task that has two, or none in time."""
    wanted, found = set(names), dict[str, TaskEvent]()
    end = time.monotonic() + PATIENCE_S
    while wanted - found.keys() and time.monotonic() < end:
        for event in executor.events(0.2):
            if event.fate is Fate.STARTED:
                continue
            assert event.task not in found, f"{event.task} ended twice"
            found[event.task] = event
    assert found.keys() == wanted
    return found


def done(executor: Executor, *tasks: Task) -> list[TaskEvent]:
    """Run some tasks; their final events in their order."""
    for each in tasks:
        executor.submit(each)
    found = fates(executor, (each.id for each in tasks))
    return [found[each.id] for each in tasks]


def started(executor: Executor, *names: str) -> None:
    """Wait until some tasks started."""
    end, waited = time.monotonic() + PATIENCE_S, {*names}
    while waited and time.monotonic() < end:
        waited -= {e.task for e in executor.events(0.2) if e.fate is Fate.STARTED}
    assert not waited


class ExecutorSuite:
    """Every promise of an engine that holds for one in the caller's own process, too."""

    def test_a_result_comes_back(self, executor: Executor) -> None:
        (event,) = done(executor, task("one", params=b"\0 bytes \xff"))
        assert (event.fate, event.result, event.error) == (Fate.OK, b"\0 bytes \xff", None)
        assert abs(event.at - time.time()) < 5
        assert event.wall_s >= 0
        assert event.queued_s >= 0

    def test_tasks_tell_their_fates_once_in_any_number(self, executor: Executor) -> None:
        tasks = [task(str(number), params=str(number).encode()) for number in range(500)]
        events = done(executor, *tasks)
        assert [event.result for event in events] == [each.params for each in tasks]
        assert list(executor.events(0.1)) == []

    def test_a_task_of_the_same_id_is_not_run_twice(self, executor: Executor) -> None:
        executor.submit(task("one", "sleep", params=b"0.3"))
        executor.submit(task("one", "sleep", params=b"0.3"))
        assert fates(executor, ["one"])["one"].fate is Fate.OK
        assert list(executor.events(0.5)) == []
        # Its fate was read: it may run anew.
        assert done(executor, task("one"))[0].fate is Fate.OK

    def test_an_error_is_told_as_text(self, executor: Executor) -> None:
        two, mute, left = done(
            executor, task("1", "two_arguments"), task("2", "unprintable"), task("3", "leave")
        )
        assert [event.fate for event in (two, mute, left)] == [Fate.ERROR] * 3
        assert two.error is not None
        assert (two.error.type, two.error.message) == ("TwoArguments", "this and that")
        assert "in two_arguments" in two.error.trace
        assert mute.error is not None
        assert (mute.error.type, mute.error.trace) == ("Unprintable", "")
        assert left.error is not None
        assert (left.error.type, left.error.message) == ("SystemExit", "3")
        assert done(executor, task("4"))[0].fate is Fate.OK

    @pytest.mark.parametrize(
        ("function", "kind"),
        [
            ("tidemill.testing.tasks:no_such", "AttributeError"),
            ("tidemill.no_such_module:f", "ModuleNotFoundError"),
            ("tidemill.testing.tasks:no_bytes", "TypeError"),
        ],
    )
    def test_a_function_that_cannot_be_called(
        self, executor: Executor, function: str, kind: str
    ) -> None:
        (event,) = done(executor, Task(id="one", function=function))
        assert event.fate is Fate.ERROR
        assert event.error is not None
        assert event.error.type == kind

    def test_an_output_is_there_whole_or_not_at_all(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        parts = [tmp_path / name for name in ("a", "b")]
        for part in parts:
            part.write_bytes(part.name.encode())
        good, bad = tmp_path / "good", tmp_path / "bad"
        inputs = tuple(map(str, parts))
        first, second = done(
            executor,
            task("1", "copy", inputs=inputs, output=str(good)),
            task("2", "half", output=str(bad)),
        )
        assert (first.fate, good.read_bytes()) == (Fate.OK, b"ab")
        assert (second.fate, bad.exists()) == (Fate.ERROR, False)
        assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "good"}

    def test_the_highest_priority_goes_first(self, executor: Executor) -> None:
        blockers = [task(f"blocker {number}", "sleep", params=b"0.5") for number in range(2)]
        later = [task(str(level), priority=level, cpus=2) for level in (1, 3, 2)]
        for each in blockers:
            executor.submit(each)
        started(executor, *(each.id for each in blockers))
        for each in later:
            executor.submit(each)
        order: list[str] = []
        end = time.monotonic() + PATIENCE_S
        while len(order) < len(later) and time.monotonic() < end:
            ended = [e.task for e in executor.events(0.2) if e.fate is Fate.OK]
            order += [name for name in ended if not name.startswith("blocker")]
        assert order == ["3", "2", "1"]

    def test_a_task_that_waits_can_be_cancelled(self, executor: Executor) -> None:
        blockers = [task(f"blocker {number}", "sleep", params=b"0.5") for number in range(2)]
        for each in (*blockers, task("one"), task("two")):
            executor.submit(each)
        executor.cancel("one")
        executor.cancel("unknown")
        found = fates(executor, ["one", "two", "blocker 0", "blocker 1"])
        assert found.pop("one").fate is Fate.CANCELLED
        assert {event.fate for event in found.values()} == {Fate.OK}

    def test_what_it_cost_is_told(self, executor: Executor) -> None:
        spun, slept = done(
            executor, task("1", "spin", params=b"0.2"), task("2", "sleep", params=b"0.2")
        )
        assert spun.cpu_s >= 0.2
        assert slept.wall_s >= 0.2
        assert slept.cpu_s < 0.2

    def test_closing_cancels_what_waits_and_tells_it(self, executor: Executor) -> None:
        names = [str(number) for number in range(5)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.2"))
        executor.close()
        found = fates(executor, names)
        assert found["4"].fate is Fate.CANCELLED
        with pytest.raises(Exception, match="closed"):
            executor.submit(task("late"))

    def test_closing_may_wait_for_what_is_at_work(self, executor: Executor) -> None:
        names = [str(number) for number in range(3)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.1"))
        executor.close(PATIENCE_S)
        assert {event.fate for event in fates(executor, names).values()} == {Fate.OK}
        assert executor.capacity().live == 0


class ProcessesSuite(ExecutorSuite):
    """What an engine promises besides whose tasks are in processes of their own."""

    @pytest.mark.parametrize("name", ["SIGKILL", "SIGABRT", "SIGSEGV", "SIGTERM"])
    def test_a_worker_that_dies_takes_one_task_along(self, executor: Executor, name: str) -> None:
        others = [task(str(number), "sleep", params=b"0.05") for number in range(10)]
        lost, *rest = done(executor, task("dies", "die", params=name.encode()), *others)
        assert lost.fate is Fate.LOST
        assert lost.error is not None
        assert name in lost.error.message
        assert {event.fate for event in rest} == {Fate.OK}

    def test_a_worker_that_leaves_is_told_with_its_exit_code(self, executor: Executor) -> None:
        lost, fine = done(executor, task("1", "vanish"), task("2"))
        assert lost.error is not None
        assert (lost.fate, fine.fate) == (Fate.LOST, Fate.OK)
        assert "exit code 7" in lost.error.message

    def test_a_timeout_ends_a_task_and_what_it_started(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        note = tmp_path / "pid"
        params = str(note).encode()
        event, deaf = done(
            executor,
            task("1", "child", params=params, timeout_s=1.0),
            task("2", "deaf", timeout_s=0.5),
        )
        assert (event.fate, deaf.fate) == (Fate.TIMEOUT, Fate.TIMEOUT)
        assert deaf.error is not None
        assert "timeout of 0.5 s" in deaf.error.message
        assert 0.5 <= deaf.wall_s < PATIENCE_S
        assert is_gone(int(note.read_text()))

    def test_a_memory_cap_is_held(self, executor: Executor) -> None:
        over, under, asked = done(
            executor,
            task("1", "hold", params=b"300_000_000".replace(b"_", b""), memory=100_000_000),
            task("2", "hold", params=b"30000000", memory=200_000_000),
            task("3", "without_memory"),
        )
        assert [event.fate for event in (over, under, asked)] == [Fate.OOM, Fate.OK, Fate.OOM]
        assert over.error is not None
        assert "memory cap of 100 MB" in over.error.message
        assert over.peak_rss > 100_000_000
        assert 30_000_000 <= under.peak_rss < 200_000_000

    def test_a_task_at_work_can_be_cancelled_and_its_place_is_free(
        self, executor: Executor
    ) -> None:
        for number in range(2):
            executor.submit(task(str(number), "sleep", params=b"60"))
        started(executor, "0", "1")
        begun = time.monotonic()
        executor.cancel("0")
        assert fates(executor, ["0"])["0"].fate is Fate.CANCELLED
        assert time.monotonic() - begun < PATIENCE_S
        assert done(executor, task("2"))[0].fate is Fate.OK
        executor.cancel("1")
        assert fates(executor, ["1"])["1"].fate is Fate.CANCELLED

    def test_a_killed_task_leaves_no_output(self, executor: Executor, tmp_path: Path) -> None:
        part = tmp_path / "part"
        part.write_bytes(b"part")
        output = tmp_path / "output"
        slow = task(
            "1", "copy", params=b"60", inputs=(str(part),), output=str(output), timeout_s=0.5
        )
        assert done(executor, slow)[0].fate is Fate.TIMEOUT
        assert [path.name for path in tmp_path.iterdir()] == ["part"]

    def test_worker_classes_share_no_process(self, executor: Executor) -> None:
        names = ["serving", "training", "serving", "training"]
        events = [
            done(executor, task(str(index), "process_id", worker_class=name))[0]
            for index, name in enumerate(names)
        ]
        assert not {events[0].result, events[2].result} & {events[1].result, events[3].result}

    @pytest.mark.parametrize("variable", ["POLARS_MAX_THREADS", "OMP_NUM_THREADS"])
    def test_threads_follow_cpus(self, executor: Executor, variable: str) -> None:
        names = variable.encode()
        one, two = done(
            executor,
            task("1", "environment", params=names),
            task("2", "environment", params=names, cpus=2),
        )
        assert (one.result, two.result) == (b"1", b"2")

    def test_a_task_that_wants_more_than_there_is_runs_alone(self, executor: Executor) -> None:
        first, large, last = done(executor, task("1"), task("2", cpus=64), task("3"))
        assert {event.fate for event in (first, large, last)} == {Fate.OK}

    def test_random_kills_lose_and_double_nothing(self, executor: Executor) -> None:
        chance, kills = random.Random(7), 0
        names = [str(number) for number in range(150)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.01"))
        found = dict[str, TaskEvent]()
        workers: set[str] = set()
        end = time.monotonic() + 2 * PATIENCE_S
        while len(found) < len(names) and time.monotonic() < end:
            for event in executor.events(0.01):
                if event.fate is Fate.STARTED:
                    workers.add(event.worker)
                else:
                    assert event.task not in found
                    found[event.task] = event
            if workers and kills < 30 and chance.random() < 0.5:
                kills += kill(workers.pop())
        assert found.keys() == set(names)
        counted = Counter(event.fate for event in found.values())
        assert counted[Fate.LOST] <= kills
        assert counted[Fate.OK] + counted[Fate.LOST] == len(names)

    def test_nothing_is_held_when_there_is_nothing_to_do(self, executor: Executor) -> None:
        done(executor, *(task(str(number), "sleep", params=b"0.05") for number in range(4)))
        assert executor.capacity().live > 0
        end = time.monotonic() + PATIENCE_S
        while executor.capacity().live and time.monotonic() < end:
            time.sleep(0.05)
        held = executor.capacity()
        assert (held.live, held.busy, held.waiting) == (0, 0, 0)
        assert 0 < held.busy_s <= held.held_s
        assert done(executor, task("again"))[0].fate is Fate.OK


def kill(worker: str) -> bool:
    """Kill a worker by its process id; whether it was there."""
    try:
        os.kill(int(worker), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def is_gone(process: int) -> bool:
    """Whether a process ends within a moment; one that only waits to be noticed has ended."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
            if ") Z " in Path(f"/proc/{process}/stat").read_text():
                return True
        except ProcessLookupError:
            return True
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    return False
