"""Resources are never allocated twice, every task eventually runs, and urgent tasks aren't delayed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.lanes.resource_shares import AllocationRound, ResourceShares
from tidemill.adapters.lanes.task_queue import TaskQueue, worker_kind
from tidemill.ports.execution import Task, WorkerClass

CLASSES = {
    "narrow": WorkerClass(memory=100),
    "later": WorkerClass(deferrable=True),
    "narrow and later": WorkerClass(memory=50, deferrable=True),
}


def shares_of(workers: int = 3, cpus: float = 2.0) -> ResourceShares:
    return ResourceShares(workers=workers, cpus=cpus, memory=200, gpus=2, classes=CLASSES)


@st.composite
def tasks(draw: st.DrawFn) -> list[Task]:
    return [
        Task(
            id=str(number),
            function="module:name",
            cpus=draw(st.sampled_from([0.1, 0.3, 1.0, 1.5, 2.0, 64.0])),
            memory=draw(st.sampled_from([0, 10, 60, 150, 1_000])),
            gpus=draw(st.integers(0, 2)),
            priority=draw(st.integers(0, 2)),
            worker_class=draw(st.sampled_from(["default", *CLASSES])),
        )
        for number in range(draw(st.integers(1, 25)))
    ]


def begin(waiting: TaskQueue, shares: ResourceShares) -> Task | None:
    """The next task that fits, as in a lane whose workers are all idle."""
    look = AllocationRound(shares)
    for _, task in waiting.next_by_kind():
        lacking = look.shortages(task)
        if not lacking:
            waiting.take(task.id)
            shares.allocate(task)
            return task
        look.reserve(task, lacking)
    return None


@given(tasks(), st.integers(0, 1_000))
def test_nothing_is_allocated_twice_and_every_task_runs(every: list[Task], seed: int) -> None:
    chance, shares = Random(seed), shares_of()
    waiting, at_work, come = TaskQueue(shares.deferrable), list[Task](), [*every]
    while come or len(waiting) or at_work:
        if come and chance.random() < 0.5:
            waiting.put(come.pop())
        while (task := begin(waiting, shares)) is not None:
            at_work.append(task)
        urgent = [task for task in at_work if task.worker_class not in shares.deferrable]
        for key, limit in shares.limits.items():
            counted = urgent if key in ("workers", "cpus") else at_work
            assert sum(shares.demand(each).get(key, 0) for each in counted) <= limit
        if not come and len(waiting):
            # Whatever waits, waits for something that is at work.
            assert at_work
        if at_work:
            ended = at_work.pop(chance.randrange(len(at_work)))
            shares.release(ended)
    assert not any(shares.used.values())
    assert not any(shares.used_by_deferrable.values())


@given(tasks(), tasks())
def test_deferrable_tasks_take_no_cpu_from_others(every: list[Task], others: list[Task]) -> None:
    """The same urgent tasks start with and without running deferrable tasks."""

    def begun(shares: ResourceShares) -> list[str]:
        waiting = TaskQueue(shares.deferrable)
        for each in every:
            if each.worker_class == "default":
                waiting.put(each)
        found = []
        while (task := begin(waiting, shares)) is not None:
            found.append(task.id)
        return found

    def plain() -> ResourceShares:
        return ResourceShares(workers=3, cpus=2.0, classes=CLASSES)

    every = [task for task in every if not task.gpus]
    crowded = plain()
    for other in others:
        if (
            other.worker_class == "later"
            and not other.gpus
            and not AllocationRound(crowded).shortages(other)
        ):
            crowded.allocate(other)
    assert begun(crowded) == begun(plain())


@given(tasks())
def test_the_highest_priority_of_each_kind_is_first(every: list[Task]) -> None:
    waiting = TaskQueue({"later"})
    for task in every:
        waiting.put(task)
    left = [*every]
    while left:
        heads = dict(waiting.next_by_kind())
        assert heads.keys() == {worker_kind(task) for task in left}
        for kind, head in heads.items():
            same = [task for task in left if worker_kind(task) == kind]
            assert waiting.count(kind) == len(same)
            assert head == max(same, key=lambda task: (task.priority, -int(task.id)))
        first = next(iter(heads.values()))
        assert waiting.peek() == first
        assert (first.worker_class == "later") <= (len({"later"} & {k[0] for k in heads}) > 0)
        assert waiting.take(first.id) is not None
        assert waiting.take(first.id) is None
        left.remove(first)
    assert waiting.peek() is None
    assert waiting.count(worker_kind(every[0])) == 0


def test_a_resubmitted_task_is_queued_with_its_new_priority() -> None:
    waiting = TaskQueue()
    first = Task(id="1", function="module:name", priority=9, gpus=1)
    again, other = replace(first, priority=0, gpus=0), replace(first, id="2", priority=5, gpus=0)
    waiting.put(first)
    waiting.take("1")
    waiting.put(other)
    waiting.put(again)
    assert [*waiting.next_by_kind()] == [(worker_kind(other), other)]
