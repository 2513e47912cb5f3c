"""What every engine promises: each task has exactly one fate, told as what it is, and harms no other.

Subclass it in a test module and give it the fixture `executor`: an engine with room for two tasks of one
CPU at once, which is closed after the test. What an engine can't hold a task to (a timeout, a memory cap,
devices) it refuses by UsageError when the task is submitted; nothing else may be refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent

# Nothing here takes as long, even on a busy machine; a test that waits for so long fails.
PATIENCE_S = 120.0


def task(name: str, function: str = "echo", /, params: bytes = b"", **options: object) -> Task:
    """A task that calls a function of `tidemill.testing.suites.executor_tasks`."""
    at = f"tidemill.testing.suites.executor_tasks:{function}"
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


@contextmanager
def kept_busy(executor: Executor, gate: Path, *names: str, **options: object) -> Iterator[None]:
    """Keep tasks of these names at work until the block ends, by a file that is removed then."""
    gate.touch()
    try:
        for name in names:
            executor.submit(task(name, "linger", params=bytes(gate), **options))
        started(executor, *names)
        yield
    finally:
        gate.unlink()


class ExecutorSuite:
    """Every promise of an engine that holds for one in the caller's own process, too."""

    # Tasks that take all the room of the engine; none where tasks run only while events are read.
    blockers: tuple[str, ...] = ("blocker 0", "blocker 1")

    def test_a_result_comes_back(self, executor: Executor) -> None:
        begun = time.time()
        (event,) = done(executor, task("one", params=b"\0 bytes \xff"))
        assert (event.fate, event.result, event.error) == (Fate.OK, b"\0 bytes \xff", None)
        assert begun - 1 < event.at < time.time() + 1
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
        ("function", "kind", "message"),
        [
            ("interrupt", "KeyboardInterrupt", ""),
            ("recurse", "RecursionError", "maximum recursion depth exceeded"),
            # An error that ends a process when it is printed.
            ("deadly", "Deadly", "its message can't be shown: SystemExit"),
            # The name of a file that isn't UTF-8.
            ("half_characters", "ValueError", "\\udcff"),
            ("wordy", "ValueError", "[...]"),
        ],
    )
    def test_whatever_is_raised_is_told(
        self, executor: Executor, function: str, kind: str, message: str
    ) -> None:
        event, fine = done(executor, task("1", function), task("2"))
        assert (event.fate, fine.fate) == (Fate.ERROR, Fate.OK)
        assert event.error is not None
        assert event.error.type == kind
        assert message in event.error.message
        assert len(event.error.message) < 200_000

    def test_memory_that_cannot_be_had_is_told_as_such(self, executor: Executor) -> None:
        asked, bare = done(executor, task("1", "without_memory"), task("2", "starve"))
        assert (asked.fate, bare.fate) == (Fate.OOM, Fate.OOM)
        assert bare.error is not None
        assert bare.error.type == "Starved"
        assert "more memory than it could have" in bare.error.message

    @pytest.mark.parametrize(
        ("limits", "fate"),
        [
            ({"timeout_s": 0.5}, Fate.TIMEOUT),
            ({"memory": 1}, Fate.OOM),
            ({"gpus": 1000}, None),
        ],
    )
    def test_a_limit_is_held_or_refused(
        self, executor: Executor, limits: dict[str, float], fate: Fate | None
    ) -> None:
        limited = task("1", "sleep", params=b"600", **limits)
        try:
            executor.submit(limited)
        except UsageError as error:
            assert "task 1: " in str(error)  # noqa: PT017 - either is right
        else:
            assert fates(executor, ["1"])["1"].fate is fate
        # What was refused isn't known.
        assert done(executor, task("1"))[0].fate is Fate.OK

    def test_much_goes_in_and_comes_out(self, executor: Executor) -> None:
        much = bytes(range(256)) * 40_000
        tasks = [task(str(number), params=much) for number in range(4)]
        assert {event.result for event in done(executor, *tasks)} == {much}

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

    def test_the_highest_priority_goes_first(self, executor: Executor, tmp_path: Path) -> None:
        later = [task(str(level), priority=level, cpus=2) for level in (1, 3, 2)]
        with kept_busy(executor, tmp_path / "gate", *self.blockers):
            for each in later:
                executor.submit(each)
        order: list[str] = []
        end = time.monotonic() + PATIENCE_S
        while len(order) < len(later) and time.monotonic() < end:
            ended = [e.task for e in executor.events(0.2) if e.fate is Fate.OK]
            order += [name for name in ended if not name.startswith("blocker")]
        assert order == ["3", "2", "1"]

    def test_a_task_that_waits_can_be_cancelled(self, executor: Executor, tmp_path: Path) -> None:
        with kept_busy(executor, tmp_path / "gate", *self.blockers):
            for each in (task("one"), task("two")):
                executor.submit(each)
            executor.cancel("one")
            executor.cancel("unknown")
        found = fates(executor, ["one", "two", *self.blockers])
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
        # So many that the last of them waits, however slowly they are submitted.
        names = [str(number) for number in range(100)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.5"))
        executor.close()
        found = fates(executor, names)
        assert found[names[-1]].fate is Fate.CANCELLED
        with pytest.raises(Exception, match="closed"):
            executor.submit(task("late"))

    def test_closing_may_wait_for_what_is_at_work(self, executor: Executor) -> None:
        names = [str(number) for number in range(3)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.1"))
        executor.close(PATIENCE_S)
        assert {event.fate for event in fates(executor, names).values()} == {Fate.OK}
        assert executor.capacity().live == 0
