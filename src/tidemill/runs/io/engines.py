"""Run steps where they are placed: in the run's own thread, or on engines.

Engines are threads, worker processes, or others. An engine is opened when its first task comes, and closed
when the run ends. Steps in the run's own thread are run several of a stage by one call where that gives the
same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from tidemill.ledger.io.process_usage import Stopwatch
from tidemill.planning.batches import MAX_STEPS, next_batch
from tidemill.planning.placement import Place
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent, TaskFunctions
from tidemill.runs.io.job import Job
from tidemill.runs.io.ready_queue import StepIndex
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.io.task_codec import (
    FUNCTION,
    decode_payload,
    decode_result,
    encode_context,
    encode_payload,
    encode_result,
)
from tidemill.steps.step_messages import StepCost, StepFailure, StepOutput, Work

# A step that ran, its output, and what it cost.
StepOutcome: TypeAlias = tuple[StepIndex, StepOutput | StepFailure, StepCost]

_NOTHING = StepCost()

# With two engines at work, each is asked in turn.
_TURN_S = 0.01
# So many tasks a CPU are submitted at once: enough that no worker ever waits for the next, and that
# the most urgent can go first.
_AHEAD = 16


class LocalSteps:
    """Steps that wait to run in the run's own thread, and are then run in the order of the plan.

    Partitions of a stage that is `batched` can be computed together.
    """

    def __init__(
        self, runner: StepRunner, batched: Collection[str], cpu_clock: Callable[[], float]
    ) -> None:
        self._shop = runner
        self._batched = batched
        self._cpu_clock = cpu_clock
        self._queue: list[StepIndex] = []
        self._works: dict[StepIndex, Work] = {}

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def next(self) -> StepIndex | None:
        """The step that is run next."""
        return self._queue[0] if self._queue else None

    def add(self, index: StepIndex, work: Work) -> None:
        """Let a step wait."""
        self._works[index] = work
        heappush(self._queue, index)

    def batch_size(self, index: StepIndex) -> int:
        """How many steps of its stage should wait together with a step."""
        work = self._works.get(index)
        return MAX_STEPS if work is not None and work.stage in self._batched else 0

    def withdraw(self) -> list[StepIndex]:
        """Let no step wait any more; return those that did."""
        waiting = sorted(self._queue)
        self._queue.clear()
        for index in waiting:
            del self._works[index]
        return waiting

    def run_next(self) -> Iterator[StepOutcome]:
        """Run the next step, and others of its stage that can be computed with it."""
        index = heappop(self._queue)
        rows = self._batch_rows(index) if self._queue else {}
        batch = next_batch(rows)
        if len(batch) > 1:
            self._queue = [other for other in self._queue if other not in batch]
            heapify(self._queue)
            yield from self._run_together({other: rows[other] for other in batch})
        else:
            yield self._run_alone(index)

    def _batch_rows(self, index: StepIndex) -> dict[StepIndex, int]:
        """The rows that a step reads, and those that each step reads that can be computed with it."""
        own = self._works[index]
        if own.stage not in self._batched or not own.can_batch_with(own):
            return {}
        works = {n: self._works[n] for n in (index, *sorted(self._queue))}
        return {n: work.rows for n, work in works.items() if work.can_batch_with(own)}

    def _run_together(self, rows: Mapping[StepIndex, int]) -> Iterator[StepOutcome]:
        watch = Stopwatch(self._cpu_clock)
        outputs = self._shop.run_together([self._works[index] for index in rows])
        wall, cpu = watch.read()
        # What a call takes for one more step is mostly what its rows take.
        total = sum(rows.values()) + len(rows)
        for (index, count), output in zip(rows.items(), outputs, strict=True):
            share = (count + 1) / total
            cost = StepCost(wall_s=wall * share, cpu_s=cpu * share)
            if output is None:
                yield self._run_alone(index, cost)
            else:
                del self._works[index]
                yield index, output, cost

    def _run_alone(self, index: StepIndex, spent: StepCost = _NOTHING) -> StepOutcome:
        """Run one step, for which something was `spent` before."""
        watch = Stopwatch(self._cpu_clock)
        output = self._shop.run(self._works.pop(index))
        wall, cpu = watch.read()
        return index, output, StepCost(wall_s=spent.wall_s + wall, cpu_s=spent.cpu_s + cpu)


class Engines:
    """The engines of one run.

    `new_runner` makes the step runner of a thread. `settle` waits until all output so far is stored, where
    workers can read it.
    """

    def __init__(
        self, job: Job, new_runner: Callable[[], StepRunner], settle: Callable[[], None]
    ) -> None:
        self._options = job.engines
        self._flow = job.flow
        self._settle = settle
        self._new_runner = new_runner
        self._open: dict[str, Executor] = {}
        # By task: its engine, its stage, and when it was submitted.
        self._at_work: dict[str, tuple[str, str, float]] = {}
        self._unstored: set[str] = set()
        self._started: set[str] = set()

    @cached_property
    def _context(self) -> bytes:
        return encode_context(self._options.context)

    @property
    def has_tasks(self) -> bool:
        """Whether some tasks haven't ended yet."""
        return bool(self._at_work)

    @property
    def has_room(self) -> bool:
        """Whether more tasks should be submitted."""
        return len(self._at_work) < _AHEAD * self._options.slots

    def note_unstored(self, names: Iterable[str]) -> None:
        """Note objects that this process computed, and that may not be in the store yet."""
        self._unstored.update(names)

    def submit(self, index: StepIndex, work: Work, place: Place) -> None:
        """Submit a step; UsageError when its engine can never run it."""
        self._store_inputs(work)
        limits = self._flow[work.stage].resources
        engine = self._open.get(place.where)
        if engine is None:
            functions = _thread_functions(self._new_runner)
            engine = self._open[place.where] = self._options.engines[place.where](functions)
        engine.submit(
            Task(
                id=str(index),
                function=FUNCTION,
                params=encode_payload(self._context, work),
                cpus=place.cpus,
                memory=self._options.memory_cap(limits.memory),
                gpus=limits.gpus,
                timeout_s=limits.timeout_s,
                priority=place.priority,
                worker_class=place.worker_class,
            )
        )
        self._at_work[str(index)] = place.where, work.stage, time.time()

    def results(self, timeout_s: float) -> Iterator[StepOutcome]:
        """Yield the steps that ended; wait for the first one for up to `timeout_s` seconds."""
        busy = {where for where, *_ in self._at_work.values()}
        for where in busy:
            for event in self._open[where].events(
                timeout_s if len(busy) == 1 else min(timeout_s, _TURN_S)
            ):
                if event.fate is Fate.STARTED:
                    self._started.add(event.task)
                else:
                    self._started.discard(event.task)
                    yield self._result(event)

    def cancel_waiting(self) -> None:
        """Cancel the tasks that aren't known to have started; each still yields a result."""
        for task, (where, *_) in self._at_work.items():
            if task not in self._started:
                self._open[where].cancel(task)

    def close(self) -> None:
        """Close the engines; what still runs is cancelled."""
        for engine in self._open.values():
            engine.close()

    def _store_inputs(self, work: Work) -> None:
        """Wait until what the work reads is in the store."""
        read = {
            n
            for bound in work.inputs.values()
            for b in bound.values()
            for n in b.product.all_objects
        }
        if work.artifact is not None:
            read.update(work.artifact.all_objects)
        if not self._unstored.isdisjoint(read):
            self._settle()
            self._unstored.clear()

    def _result(self, event: TaskEvent) -> StepOutcome:
        where, stage, submitted = self._at_work.pop(event.task)
        cost = StepCost(
            wall_s=event.wall_s,
            cpu_s=event.cpu_s,
            queued_s=event.queued_s,
            peak_rss=event.peak_rss,
            worker=event.worker,
        )
        output = decode_result(event, self._flow[stage].retries)
        if where == "cluster" and event.fate is Fate.OK:
            self._options.hops.note_hop(event.at - submitted - event.queued_s - event.wall_s)
        return StepIndex(int(event.task)), output, cost


def _thread_functions(new_runner: Callable[[], StepRunner]) -> TaskFunctions:
    """Return the function that tasks in threads of this process call; each thread has its own runner."""
    local = threading.local()

    def make(params: bytes, inputs: tuple[str, ...], output: str) -> bytes:
        if not hasattr(local, "runner"):
            local.runner = new_runner()
        runner: StepRunner = local.runner
        return encode_result(runner.run_and_store(decode_payload(params).work))

    return {FUNCTION: make}
