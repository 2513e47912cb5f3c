"""Run steps on engines: threads, worker processes, or others.

An engine is opened when its first task comes, and closed when the run ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tidemill.planning.placement import Place
from tidemill.ports.execution import Executor, Fate, Task, TaskEvent
from tidemill.runs.io.job import Job
from tidemill.runs.io.local_steps import StepOutcome
from tidemill.runs.io.ready_queue import StepIndex
from tidemill.runs.io.step_attempt import StepCost
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.io.task_codec import (
    FUNCTION,
    decode_result,
    encode_context,
    encode_payload,
    thread_functions,
)
from tidemill.steps.step_messages import Work

# With two engines at work, each is asked in turn.
_TURN_S = 0.01
# So many tasks a CPU are submitted at once: enough that no worker ever waits for the next, and that
# the most urgent can go first.
_AHEAD = 16


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
        self._functions = thread_functions(new_runner)
        self._context = encode_context(job.engines.context)
        self._open: dict[str, Executor] = {}
        # By task: its engine, and its stage.
        self._at_work: dict[str, tuple[str, str]] = {}
        self._unstored: set[str] = set()

    @property
    def has_tasks(self) -> bool:
        """Whether some tasks haven't ended yet."""
        return bool(self._at_work)

    @property
    def has_room(self) -> bool:
        """Whether more tasks should be submitted."""
        return len(self._at_work) < _AHEAD * self._options.cpus

    def note_unstored(self, names: Iterable[str]) -> None:
        """Note objects that this process computed, and that may not be in the store yet."""
        self._unstored.update(names)

    def submit(self, index: StepIndex, work: Work, place: Place) -> None:
        """Submit a step; UsageError when its engine can never run it."""
        self._store_inputs(work)
        limits = self._flow[work.stage].resources
        engine = self._open.get(place.where)
        if engine is None:
            engine = self._open[place.where] = self._options.engines[place.where](self._functions)
        engine.submit(
            Task(
                id=str(index),
                function=FUNCTION,
                params=encode_payload(self._context, work),
                cpus=place.cpus,
                memory=limits.memory,
                gpus=limits.gpus,
                timeout_s=limits.timeout_s,
                priority=place.priority,
                worker_class=place.worker_class,
            )
        )
        self._at_work[str(index)] = place.where, work.stage

    def results(self, timeout_s: float) -> Iterator[StepOutcome]:
        """Yield the steps that ended; wait for the first one for up to `timeout_s` seconds."""
        busy = {where for where, _ in self._at_work.values()}
        for where in busy:
            for event in self._open[where].events(
                timeout_s if len(busy) == 1 else min(timeout_s, _TURN_S)
            ):
                if event.fate is not Fate.STARTED:
                    yield self._result(event)

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
            read.add(work.artifact.object)
        if not self._unstored.isdisjoint(read):
            self._settle()
            self._unstored.clear()

    def _result(self, event: TaskEvent) -> StepOutcome:
        _, stage = self._at_work.pop(event.task)
        cost = StepCost(
            wall_s=event.wall_s,
            cpu_s=event.cpu_s,
            queued_s=event.queued_s,
            peak_rss=event.peak_rss,
            worker=event.worker,
        )
        output = decode_result(event, self._flow[stage].retries)
        return StepIndex(int(event.task)), output, cost
