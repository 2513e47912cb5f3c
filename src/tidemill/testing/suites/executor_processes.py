"""Conformance suite for executors with worker processes: a dying worker loses only its own task.

The fixture `executor` is as for `ExecutorSuite`; its workers end after a short idle time.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tidemill.ports.execution import Executor, Fate, TaskEvent
from tidemill.testing.suites.executor import (
    PATIENCE_S,
    ExecutorSuite,
    final_events,
    keep_busy,
    run_tasks,
    task,
    wait_until_started,
)


class ProcessesSuite(ExecutorSuite):
    """Further tests for executors that run tasks in worker processes."""

    # The number of tasks, and the number of workers killed while they run.
    tasks_and_kills = (150, 30)

    @pytest.mark.parametrize("name", ["SIGKILL", "SIGABRT", "SIGSEGV", "SIGTERM"])
    def test_a_dying_worker_loses_only_its_task(self, executor: Executor, name: str) -> None:
        others = [task(str(number), "sleep", params=b"0.05") for number in range(10)]
        lost, *rest = run_tasks(executor, task("dies", "die", params=name.encode()), *others)
        assert lost.fate is Fate.LOST
        assert lost.error is not None
        assert name in lost.error.message
        assert {event.fate for event in rest} == {Fate.OK}

    def test_the_exit_code_of_a_worker_is_reported(self, executor: Executor) -> None:
        lost, fine = run_tasks(executor, task("1", "vanish"), task("2"))
        assert lost.error is not None
        assert (lost.fate, fine.fate) == (Fate.LOST, Fate.OK)
        assert "exit code 7" in lost.error.message

    def test_a_timeout_ends_a_task_and_what_it_started(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        note = tmp_path / "pid"
        # A busy machine may take longer than the first timeout to start the child.
        for timeout_s in (1.0, 10.0, 60.0):
            child = task("1", "child", params=bytes(note), timeout_s=timeout_s)
            event, deaf = run_tasks(executor, child, task("2", "deaf", timeout_s=0.5))
            assert (event.fate, deaf.fate) == (Fate.TIMEOUT, Fate.TIMEOUT)
            if note.exists() and note.read_text():
                break
        assert deaf.error is not None
        assert "timeout of 0.5 s" in deaf.error.message
        assert 0.5 <= deaf.wall_s < PATIENCE_S
        assert wait_until_gone(int(note.read_text()))

    @pytest.mark.parametrize(
        ("function", "says"),
        [
            # It closes all files and continues.
            ("close_files", "closed its connection"),
            # It writes to every connection it finds.
            ("babble", "invalid answer"),
        ],
    )
    def test_a_task_that_breaks_its_connection_is_lost_alone(
        self, executor: Executor, function: str, says: str
    ) -> None:
        other = task("other", "sleep", params=b"0.2")
        lost, fine = run_tasks(executor, task("1", function), other)
        assert (lost.fate, fine.fate) == (Fate.LOST, Fate.OK)
        assert lost.error is not None
        assert says in lost.error.message
        assert run_tasks(executor, task("again"))[0].fate is Fate.OK

    def test_a_task_that_forks_ends_once(self, executor: Executor) -> None:
        events = run_tasks(executor, *(task(str(number), "fork") for number in range(4)))
        assert [event.result for event in events] == [b"parent"] * 4

    def test_a_death_is_noticed_while_a_child_lives(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """The child inherits its worker's connections and keeps them open."""
        note = tmp_path / "pid"
        (lost,) = run_tasks(executor, task("1", "bequeath", params=str(note).encode()))
        assert lost.fate is Fate.LOST
        assert wait_until_gone(int(note.read_text()))

    def test_children_of_a_task_end_with_its_worker(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        note = tmp_path / "pid"
        (event,) = run_tasks(executor, task("1", "leave_behind", params=str(note).encode()))
        assert event.fate is Fate.OK
        executor.close()
        assert wait_until_gone(int(note.read_text()))

    def test_a_memory_cap_is_enforced(self, executor: Executor) -> None:
        over, under = run_tasks(
            executor,
            task("1", "hoard", params=b"300000000", memory=100_000_000),
            task("2", "hold", params=b"30000000", memory=200_000_000),
        )
        assert (over.fate, under.fate) == (Fate.OOM, Fate.OK)
        assert over.error is not None
        assert "memory cap of 100 MB" in over.error.message
        assert over.peak_rss > 100_000_000
        assert 30_000_000 <= under.peak_rss < 200_000_000

    def test_a_running_task_can_be_cancelled_and_frees_its_worker(self, executor: Executor) -> None:
        for number in range(2):
            executor.submit(task(str(number), "sleep", params=b"60"))
        wait_until_started(executor, "0", "1")
        begun = time.monotonic()
        executor.cancel("0")
        assert final_events(executor, ["0"])["0"].fate is Fate.CANCELLED
        assert time.monotonic() - begun < PATIENCE_S
        assert run_tasks(executor, task("2"))[0].fate is Fate.OK
        executor.cancel("1")
        assert final_events(executor, ["1"])["1"].fate is Fate.CANCELLED

    def test_the_cost_of_a_killed_task_is_reported(self, executor: Executor) -> None:
        (event,) = run_tasks(executor, task("1", "spin", params=b"600", timeout_s=1.0))
        assert event.fate is Fate.TIMEOUT
        assert 1.0 <= event.wall_s < PATIENCE_S
        assert event.peak_rss > 1_000_000
        # Other processes may use the CPU too, but some of it was the task's own.
        assert 0.0 < event.cpu_s <= event.wall_s + 0.1

    def test_a_killed_task_leaves_no_output(self, executor: Executor, tmp_path: Path) -> None:
        part = tmp_path / "part"
        part.write_bytes(b"part")
        output = tmp_path / "output"
        slow = task(
            "1", "copy", params=b"600", inputs=(str(part),), output=str(output), timeout_s=0.5
        )
        assert run_tasks(executor, slow)[0].fate is Fate.TIMEOUT
        assert [path.name for path in tmp_path.iterdir()] == ["part"]

    def test_worker_classes_share_no_process(self, executor: Executor) -> None:
        names = ["serving", "training", "serving", "training"]
        events = [
            run_tasks(executor, task(str(index), "process_id", worker_class=name))[0]
            for index, name in enumerate(names)
        ]
        assert not {events[0].result, events[2].result} & {events[1].result, events[3].result}

    @pytest.mark.parametrize("variable", ["POLARS_MAX_THREADS", "OMP_NUM_THREADS"])
    def test_threads_follow_cpus(self, executor: Executor, variable: str) -> None:
        names = variable.encode()
        one, two = run_tasks(
            executor,
            task("1", "environment", params=names),
            task("2", "environment", params=names, cpus=2),
        )
        assert (one.result, two.result) == (b"1", b"2")

    def test_a_task_that_needs_more_than_exists_runs_alone(self, executor: Executor) -> None:
        first, large, last = run_tasks(executor, task("1"), task("2", cpus=64), task("3"))
        assert {event.fate for event in (first, large, last)} == {Fate.OK}

    def test_random_kills_lose_and_repeat_no_task(self, executor: Executor) -> None:
        chance, kills = random.Random(7), 0
        number, most = self.tasks_and_kills
        names = [str(each) for each in range(number)]
        for name in names:
            executor.submit(task(name, "sleep", params=b"0.01"))
        found = dict[str, TaskEvent]()
        workers: set[str] = set()
        end = time.monotonic() + number * PATIENCE_S / 75
        while len(found) < len(names) and time.monotonic() < end:
            for event in executor.events(0.01):
                if event.fate is Fate.STARTED:
                    workers.add(event.worker)
                else:
                    assert event.task not in found
                    found[event.task] = event
            if workers and kills < most and chance.random() < 0.5:
                kills += kill_worker(workers.pop())
        assert found.keys() == set(names)
        counted = Counter(event.fate for event in found.values())
        assert counted[Fate.LOST] <= kills
        assert counted[Fate.OK] + counted[Fate.LOST] == len(names)

    def test_an_idle_executor_holds_no_workers(self, executor: Executor, tmp_path: Path) -> None:
        with keep_busy(executor, tmp_path / "gate", "held"):
            assert executor.capacity().live > 0
        final_events(executor, ["held"])
        run_tasks(executor, *(task(str(number), "sleep", params=b"0.05") for number in range(4)))
        end = time.monotonic() + PATIENCE_S
        while executor.capacity().live and time.monotonic() < end:
            time.sleep(0.05)
        held = executor.capacity()
        assert (held.live, held.busy, held.waiting) == (0, 0, 0)
        assert 0 < held.busy_s <= held.held_s
        assert run_tasks(executor, task("again"))[0].fate is Fate.OK


def kill_worker(worker: str) -> bool:
    """Kill a worker by its process id, in front of the node if there is one; whether it existed."""
    try:
        os.kill(int(worker.partition("@")[0]), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(process: int) -> bool:
    """Wait for a process to end; whether it did. A zombie counts as ended."""
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
