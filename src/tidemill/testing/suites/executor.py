"""Conformance suite for executors: every task gets exactly one correct final event and harms no other.

Subclass it in a test module and define the fixture `executor`: an executor with room for two one-CPU
tasks at once, closed after the test. It must reject limits it can't enforce (timeouts, memory caps,
devices) with UsageError when a task is submitted, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent

# A test that waits longer than this fails; nothing takes as long, even on a busy machine.
PATIENCE_S = 120.0


def task(name: str, function: str = "echo", /, params: bytes = b"", **options: object) -> Task:
    """A task that calls a function of `tidemill.testing.suites.executor_tasks`."""
    at = f"tidemill.testing.suites.executor_tasks:{function}"
    return Task(id=name, function=at, params=params, **options)  # type: ignore[arg-type]


def final_events(executor: Executor, names: Iterable[str]) -> dict[str, TaskEvent]:
    """Wait for the final event of each task; fail if a task has two, or none in time."""
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


def run_tasks(executor: Executor, *tasks: Task) -> list[TaskEvent]:
    """Run tasks and return their final events, in order."""
    for each in tasks:
        executor.submit(each)
    found = final_events(executor, (each.id for each in tasks))
    return [found[each.id] for each in tasks]


def wait_until_started(executor: Executor, *names: str) -> None:
    """Wait until all of these tasks have started."""
    end, waited = time.monotonic() + PATIENCE_S, {*names}
    while waited and time.monotonic() < end:
        waited -= {e.task for e in executor.events(0.2) if e.fate is Fate.STARTED}
    assert not waited


@contextmanager
def keep_busy(executor: Executor, gate: Path, *names: str, **options: object) -> Iterator[None]:
    """Keep tasks with these names running until the block ends and the file `gate` is removed."""
    gate.touch()
    try:
        for name in names:
            executor.submit(task(name, "linger", params=bytes(gate), **options))
        wait_until_started(executor, *names)
        yield
    finally:
        gate.unlink()


class ExecutorSuite:
    """Tests that every executor passes, including one in the caller's own process."""

    # Tasks that occupy the whole executor; none if tasks run only while events are read.
    blockers: tuple[str, ...] = ("blocker 0", "blocker 1")

    def test_a_result_comes_back(self, executor: Executor) -> None:
        begun = time.time()
        (event,) = run_tasks(executor, task("one", params=b"\0 bytes \xff"))
        assert (event.fate, event.result, event.error) == (Fate.OK, b"\0 bytes \xff", None)
        assert begun - 1 < event.at < time.time() + 1
        assert event.wall_s >= 0
        assert event.queued_s >= 0

    def test_every_one_of_many_tasks_ends_once(self, executor: Executor) -> None:
        tasks = [task(str(number), params=str(number).encode()) for number in range(500)]
        events = run_tasks(executor, *tasks)
        assert [event.result for event in events] == [each.params for each in tasks]
        assert list(executor.events(0.1)) == []

    def test_a_task_of_the_same_id_is_not_run_twice(self, executor: Executor) -> None:
        executor.submit(task("one", "sleep", params=b"0.3"))
        executor.submit(task("one", "sleep", params=b"0.3"))
        assert final_events(executor, ["one"])["one"].fate is Fate.OK
        assert list(executor.events(0.5)) == []
        # Its final event was read, so the id may run again.
        assert run_tasks(executor, task("one"))[0].fate is Fate.OK

    def test_an_error_is_reported_as_text(self, executor: Executor) -> None:
        two, mute, left = run_tasks(
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
        assert run_tasks(executor, task("4"))[0].fate is Fate.OK

    @pytest.mark.parametrize(
        ("function", "kind", "message"),
        [
            ("interrupt", "KeyboardInterrupt", ""),
            ("recurse", "RecursionError", "maximum recursion depth exceeded"),
            # An error that exits the process when it is printed.
            ("deadly", "Deadly", "its message can't be shown: SystemExit"),
            # A file name that isn't UTF-8.
            ("half_characters", "ValueError", "\\udcff"),
            ("wordy", "ValueError", "[...]"),
        ],
    )
    def test_any_exception_is_reported(
        self, executor: Executor, function: str, kind: str, message: str
    ) -> None:
        event, fine = run_tasks(executor, task("1", function), task("2"))
        assert (event.fate, fine.fate) == (Fate.ERROR, Fate.OK)
        assert event.error is not None
        assert event.error.type == kind
        assert message in event.error.message
        assert len(event.error.message) < 200_000

    def test_a_memory_error_is_reported_as_out_of_memory(self, executor: Executor) -> None:
        asked, bare = run_tasks(executor, task("1", "without_memory"), task("2", "starve"))
        assert (asked.fate, bare.fate) == (Fate.OOM, Fate.OOM)
        assert bare.error is not None
        assert bare.error.type == "Starved"
        assert "more memory than was available" in bare.error.message

    @pytest.mark.parametrize(
        ("limits", "fate"),
        [
            ({"timeout_s": 0.5}, Fate.TIMEOUT),
            ({"memory": 1}, Fate.OOM),
            ({"gpus": 1000}, None),
        ],
    )
    def test_a_limit_is_enforced_or_rejected(
        self, executor: Executor, limits: dict[str, float], fate: Fate | None
    ) -> None:
        limited = task("1", "sleep", params=b"600", **limits)
        try:
            executor.submit(limited)
        except UsageError as error:
            assert "task 1: " in str(error)  # noqa: PT017 - both outcomes are valid
        else:
            assert final_events(executor, ["1"])["1"].fate is fate
        # A rejected task's id is free.
        assert run_tasks(executor, task("1"))[0].fate is Fate.OK

    def test_large_parameters_and_results(self, executor: Executor) -> None:
        much = bytes(range(256)) * 40_000
        tasks = [task(str(number), params=much) for number in range(4)]
        assert {event.result for event in run_tasks(executor, *tasks)} == {much}

    @pytest.mark.parametrize(
        ("function", "kind"),
        [
            ("tidemill.testing.suites.executor_tasks:no_such", "AttributeError"),
            ("tidemill.no_such_module:f", "ModuleNotFoundError"),
            ("tidemill.testing.suites.executor_tasks:no_bytes", "TypeError"),
        ],
    )
    def test_a_function_that_cannot_be_called(
        self, executor: Executor, function: str, kind: str
    ) -> None:
        (event,) = run_tasks(executor, Task(id="one", function=function))
        assert event.fate is Fate.ERROR
        assert event.error is not None
        assert event.error.type == kind

    def test_an_output_is_written_atomically(self, executor: Executor, tmp_path: Path) -> None:
        parts = [tmp_path / name for name in ("a", "b")]
        for part in parts:
            part.write_bytes(part.name.encode())
        good, bad = tmp_path / "good", tmp_path / "bad"
        inputs = tuple(map(str, parts))
        first, second = run_tasks(
            executor,
            task("1", "copy", inputs=inputs, output=str(good)),
            task("2", "half", output=str(bad)),
        )
        assert (first.fate, good.read_bytes()) == (Fate.OK, b"ab")
        assert (second.fate, bad.exists()) == (Fate.ERROR, False)
        assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "good"}

    def test_the_highest_priority_goes_first(self, executor: Executor, tmp_path: Path) -> None:
        later = [task(str(level), priority=level, cpus=2) for level in (1, 3, 2)]
        with keep_busy(executor, tmp_path / "gate", *self.blockers):
            for each in later:
                executor.submit(each)
        order: list[str] = []
        end = time.monotonic() + PATIENCE_S
        while len(order) < len(later) and time.monotonic() < end:
            ended = [e.task for e in executor.events(0.2) if e.fate is Fate.OK]
            order += [name for name in ended if not name.startswith("blocker")]
        assert order == ["3", "2", "1"]

    def test_a_queued_task_can_be_cancelled(self, executor: Executor, tmp_path: Path) -> None:
        with keep_busy(executor, tmp_path / "gate", *self.blockers):
            for each in (task("one"), task("two")):
                executor.submit(each)
            executor.cancel("one")
            executor.cancel("unknown")
        found = final_events(executor, ["one", "two", *self.blockers])
        assert found.pop("one").fate is Fate.CANCELLED
        assert {event.fate for event in found.values()} == {Fate.OK}

    def test_the_cost_of_a_task_is_reported(self, executor: Executor) -> None:
        spun, slept = run_tasks(
            executor, task("1", "spin", params=b"0.2"), task("2", "sleep", params=b"0.2")
        )
        assert spun.cpu_s >= 0.2
        assert slept.wall_s >= 0.2
        assert slept.cpu_s < 0.2

    def test_closing_cancels_queued_tasks(self, executor: Executor) -> None:
        # Enough that the last one is still queued, however slowly they are submitted.
        names = [str(number) for number in range(100)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.5"))
        executor.close()
        found = final_events(executor, names)
        assert found[names[-1]].fate is Fate.CANCELLED
        with pytest.raises(Exception, match="closed"):
            executor.submit(task("late"))

    def test_closing_can_wait_for_running_tasks(self, executor: Executor) -> None:
        names = [str(number) for number in range(3)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.1"))
        executor.close(PATIENCE_S)
        assert {event.fate for event in final_events(executor, names).values()} == {Fate.OK}
        assert executor.capacity().live == 0
