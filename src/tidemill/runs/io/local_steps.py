"""Run steps in the run's own thread, several of a stage by one call where that gives the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import TypeAlias

from tidemill.ledger.io.process_usage import Stopwatch
from tidemill.planning.batches import MAX_STEPS, next_batch
from tidemill.runs.io.ready_queue import StepIndex
from tidemill.runs.io.step_attempt import StepCost
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.step_messages import StepFailure, StepOutput, Work

# A step that ran, its output, and what it cost.
StepOutcome: TypeAlias = tuple[StepIndex, StepOutput | StepFailure, StepCost]

_NOTHING = StepCost()


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

    def add(self, index: StepIndex, work: Work) -> None:
        """Let a step wait."""
        self._works[index] = work
        heappush(self._queue, index)

    def batch_size(self, index: StepIndex) -> int:
        """How many steps of its stage should wait together with a step."""
        work = self._works.get(index)
        return MAX_STEPS if work is not None and work.stage in self._batched else 0

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
