"""Run the steps of a plan, as many at once as there is room for.

Everything but computing a step's output happens in the run's own thread, and so in one order. What isn't
computed there goes to an engine; meanwhile the thread computes its own steps.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from tidemill.core.counts import plural
from tidemill.core.errors import BudgetError, UsageError
from tidemill.core.partition import place_name
from tidemill.costs.quantities import Quantities
from tidemill.ledger.price import GB
from tidemill.ledger.run import Attempt, Outcome
from tidemill.planning.batches import can_batch
from tidemill.planning.deferrable import computes
from tidemill.planning.placement import Place, Placement, StageTraits
from tidemill.planning.plan import Step
from tidemill.ports.execution import Fate
from tidemill.runs.io.claims import ClaimSet
from tidemill.runs.io.engines import Engines, LocalSteps
from tidemill.runs.io.job import Job
from tidemill.runs.io.publisher import Publisher
from tidemill.runs.io.ready_queue import ReadyQueue, StepIndex
from tidemill.runs.io.step_lifecycle import StepLifecycle
from tidemill.runs.io.step_progress import StepInProgress, StepResult, bytes_written
from tidemill.runs.io.withheld_tables import WithheldTables
from tidemill.steps.step_messages import StepCost, StepFailure, StepOutput
from tidemill.workflow.stage import Kind

# Local steps that may wait while those for engines behind them are looked for.
_AHEAD = 64
# How long to wait for engines before anything else is looked at; keys of other runs are looked at more often.
_PATIENCE_S, _OTHERS_S = 0.5, 0.2


def place_steps(job: Job) -> Placement:
    """Decide where each step of a plan runs, and in which order."""
    options, stages = job.engines, job.flow.stages
    bound: set[str] = set()
    if job.tools.external_sources.has_snapshot:
        # Only this process can read a database as it was when the run was planned.
        bound = {stage.name for stage in stages if stage.kind is Kind.INGEST}
    return Placement(
        job.flow,
        job.plan,
        cpus=options.cpus,
        engines=options.engines.keys(),
        traits=StageTraits(
            pure={name for name, recipe in job.recipes.items() if recipe.lineage},
            in_process=bound,
            memos={name for name, recipe in job.recipes.items() if recipe.memos},
            batched={stage.name for stage in stages if can_batch(stage, job.recipes[stage.name])},
        ),
        isolated=options.careful,
        stoppable=_stoppable(job),
        remote=options.remote,
        hops=options.hops,
    )


def _stoppable(job: Job) -> Callable[[Step], bool] | None:
    """Which steps have to be in worker processes, because they may be stopped or preempted."""
    if job.engines.preemptible:
        return computes
    return None if job.budget is None else job.budget.must_be_stoppable


class Scheduler:
    """Takes each step from the ready queue to its result, and publishes its output.

    With fail-fast nothing begins any more once a step has failed.

    `attempts` has one for each end of a step, in order.
    """

    def __init__(  # noqa: PLR0913 - the parts of a run that it directs
        self,
        job: Job,
        placing: Placement,
        lifecycle: StepLifecycle,
        local: LocalSteps,
        engines: Engines,
        publisher: Publisher,
        claims: ClaimSet,
        withheld: WithheldTables,
    ) -> None:
        self.attempts: list[Attempt] = []
        self._flow = job.flow
        self._progress = job.progress
        self._placing = placing
        self._steps = placing.order
        self._lifecycle = lifecycle
        self._local = local
        self._engines = engines
        self._publisher = publisher
        self._claimed = claims
        self._withheld = withheld
        self._queue = ReadyQueue(job.flow, self._steps, self._wait_for)
        # Steps are begun for engines while others wait to run in this thread.
        self._uses_engines = bool(placing.places - {"here"})
        self._running: dict[StepIndex, StepInProgress] = {}
        # Outputs of steps whose turn to be checked comes later.
        self._parked: dict[StepIndex, tuple[StepOutput | StepFailure | None, StepCost]] = {}
        # When to retry which steps, the first one first (monotonic seconds).
        self._retries: list[tuple[float, StepIndex]] = []
        # Steps that workers couldn't run, because their code differs.
        self._local_only: set[StepIndex] = set()
        self._others_checked_at = 0.0
        self._fail_fast = job.fail_fast
        self._budget = job.budget
        self._caps = job.engines.memory_cap
        self._hops = job.engines.hops
        # Steps that wait until it is known what those take that are tried.
        self._undecided: list[StepIndex] = []
        # Steps that wait for others to end, because together they may exceed a budget, and whether some did.
        self._over_budget: list[StepIndex] = []
        self._has_settled = False
        # The first step that failed, and the steps that don't run because of it.
        self._failed: Step | None = None
        self._stopped = Counter[str]()

    def run(self) -> None:
        """Run all steps. Errors of the store are raised; the engines are closed in any case."""
        try:
            while self._advance():
                continue
            assert not self._running, "a step was begun and never finished"
        finally:
            self._engines.close()

    def stop_messages(self) -> Iterator[str]:
        """Say what wasn't begun because a step had failed, or budgets were used up."""
        if self._budget is not None:
            yield from self._budget.messages(self.attempts, self._placing.unstoppable)
        if self._failed is not None and self._stopped:
            total = self._stopped.total()
            were = "wasn't" if total == 1 else "weren't"
            left = f"{plural(total, 'step')} {were} begun"
            stages = ", ".join(f"{stage} {number:,}" for stage, number in self._stopped.items())
            yield f"{_failed_name(self._failed)} failed: {left} (fail-fast): {stages}"

    def _advance(self) -> bool:
        """Do what can be done now, or wait for it; return False when all steps have ended."""
        if self._failed is not None:
            self._stop_waiting()
        undecided, self._undecided = self._undecided, []
        for index in (*self._take_unbudgeted(), *undecided):
            self._start(index)
        self._begin_ready()
        ran = len(self._local) > 0
        if ran:
            for index, output, cost in self._local.run_next():
                self._settle(index, output, cost)
                if self._uses_engines and isinstance(output, StepOutput):
                    self._engines.note_unstored(output.product.all_objects)
                self._finish(index, output, cost)
        if self._engines.has_tasks or self._retries:
            self._collect(0.0 if ran else self._patience())
        elif not ran:
            return self._queue.retry_postponed(wait=True)
        if self._queue.has_postponed:
            self._check_others()
        return True

    def _begin_ready(self) -> None:
        """Begin the steps whose turn it is: without engines one at a time, or those of a batch."""
        ahead = _AHEAD if self._uses_engines else 1
        if (left := self._local.next) is not None:
            self._complete_batch(left)
        while (
            len(self._local) < ahead
            and self._engines.has_room
            and len(self._over_budget) + len(self._undecided) < _AHEAD
        ):
            index = self._queue.take()
            if index is None:
                return
            self._begin([index])
            self._complete_batch(index)

    def _complete_batch(self, index: StepIndex) -> None:
        """Begin steps of a step's stage that can be in one batch with it."""
        stage, batch = self._steps[index].stage, self._local.batch_size(index)
        while found := self._queue.take_several(stage, batch - len(self._local)):
            self._begin(found)

    def _begin(self, indices: Sequence[StepIndex]) -> None:
        """Begin steps; once one has failed, what is begun is stopped."""
        for index in indices:
            self._progress.started(self._steps[index])
        if self._failed is not None:
            for index in indices:
                self._stop(index)
            return
        all_begun = self._lifecycle.begin([self._steps[index] for index in indices])
        for index, begun in zip(indices, all_begun, strict=True):
            if isinstance(begun, StepInProgress):
                self._running[index] = begun
                # One before it may have failed.
                (self._start if self._failed is None else self._stop)(index)
            elif begun.postponed_for:
                self._queue.postpone(index, begun.postponed_for)
            else:
                self._end(index, begun)

    def _start(self, index: StepIndex) -> None:
        """Have a step's output computed where that is to be; some have nothing to compute."""
        step, work = self._running[index].step, self._running[index].work
        if work is None:
            self._finish(index, None, StepCost())
            return
        place = self._placing.of(step)
        if place.where == "cluster" and self._placing.trials.decides(step, time.monotonic()):
            self._undecided.append(index)
            return
        if not self._may_begin(index, place):
            return
        if place.where == "here" or index in self._local_only:
            self._local.add(index, work)
            return
        try:
            self._engines.submit(index, work, place)
            if place.where != "cluster":
                self._placing.trials.begin(step, time.monotonic())
        except UsageError as error:
            message = str(error).removeprefix(f"task {index}: ")
            failure = StepFailure(message=message)
            self._settle(index, failure, StepCost())
            self._finish(index, failure, StepCost())

    def _may_begin(self, index: StepIndex, place: Place) -> bool:
        """Whether budgets let a step begin now; if not, it waits for others to end, or has ended itself."""
        if self._budget is None:
            return True
        step = self._running[index].step
        asked = self._flow[step.stage].resources
        permit = self._budget.reserve(
            str(index), step, place.cpus, self._caps(asked.memory), asked.gpus
        )
        if permit.waits:
            self._over_budget.append(index)
        elif not permit.begins:
            self._budget.note_stop(step)
            begun = self._running.pop(index)
            skipped = self._lifecycle.skip(begun, permit.why, BudgetError.exit_code)
            self._end(index, skipped)
        return permit.begins

    def _settle(
        self, index: StepIndex, output: StepOutput | StepFailure | None, cost: StepCost
    ) -> None:
        """Count on budgets what a step used, which has ended where it was computed."""
        if self._budget is not None:
            others = None if output is None else self._other_use(index, output)
            self._has_settled |= self._budget.settle(str(index), cost, others)
            if isinstance(output, StepFailure) and output.fate == Fate.BUDGET:
                self._budget.note_stop(self._steps[index])

    def _other_use(self, index: StepIndex, output: StepOutput | StepFailure) -> Quantities:
        """What a step used beside CPU time, memory and devices: services, units, and what it sends."""
        sink = self._flow[self._steps[index].stage].sink
        sent = 0
        if isinstance(output, StepOutput) and sink is not None and sink.is_remote:
            sent = bytes_written(self._running[index], output)
        return Quantities(
            egress_gb=sent / GB,
            units={**output.units},
            spent=output.memo.spent if output.memo is not None else 0.0,
        )

    def _take_unbudgeted(self) -> list[StepIndex]:
        """Take the steps that waited for others to end, if some did since."""
        if not self._has_settled:
            return []
        waiting, self._over_budget, self._has_settled = self._over_budget, [], False
        return waiting

    def _collect(self, timeout_s: float) -> None:
        """Take what engines computed, and start the steps that are to be retried by now."""
        if self._engines.has_tasks:
            for index, output, cost in self._engines.results(timeout_s):
                self._take_result(index, output, cost)
        elif timeout_s:
            time.sleep(timeout_s)
        while self._retries and self._retries[0][0] <= time.monotonic():
            index = heappop(self._retries)[1]
            self._progress.started(self._steps[index])
            self._start(index)

    def _take_result(
        self, index: StepIndex, output: StepOutput | StepFailure, cost: StepCost
    ) -> None:
        """Finish a step that an engine ran; run it here if its worker had other code."""
        self._settle(index, output, cost)
        self._placing.trials.end(self._steps[index])
        if isinstance(output, StepOutput):
            self._hops.note_step(self._steps[index], cost.wall_s)
        if self._failed and isinstance(output, StepFailure) and output.fate == Fate.CANCELLED:
            self._stop(index)
            return
        if isinstance(output, StepFailure) and output.other_code:
            if not self._flow[self._steps[index].stage].resources.needs_process:
                # This process has the code that was planned.
                self._local_only.add(index)
                self._start(index)
                return
            output = replace(
                output,
                message="its code differs in a worker process, where its limits would be enforced: "
                "it was edited meanwhile, or holds state that differs between processes",
            )
        self._finish(index, output, cost)

    def _finish(
        self, index: StepIndex, output: StepOutput | StepFailure | None, cost: StepCost
    ) -> None:
        """Finish a step; if its stage checks partitions in order, not before its turn."""
        if not self._queue.is_first(index):
            self._parked[index] = output, cost
            return
        begun = self._running.pop(index)
        result = self._lifecycle.finish(begun, output, cost)
        if result.retry_s is None:
            self._end(index, result)
        else:
            self._record(begun.step, result)
            self._running[index] = begun.next_attempt()
            heappush(self._retries, (time.monotonic() + result.retry_s, index))

    def _end(self, index: StepIndex, result: StepResult) -> None:
        """Record the end of a step, and let others go on that waited for it.

        The steps of a table that rules govern end together, when all of them have run.
        """
        step = self._steps[index]
        if self._withheld.withhold(index, step, result):
            self._queue.withhold(index)
        else:
            self._queue.finish(index)
            self._record(step, result)
        for other, ended in self._withheld.decide(step.stage):
            self._queue.finish(other)
            self._record(self._steps[other], ended)
        for other in sorted(self._parked):
            if self._queue.is_first(other):
                self._finish(other, *self._parked.pop(other))
                return  # which goes on with the next

    def _stop_waiting(self) -> None:
        """End what waits for this thread, for an engine or to be retried, without running it."""
        retries = (index for _, index in self._retries)
        waiting = (*self._over_budget, *self._undecided)
        for index in (*self._local.withdraw(), *waiting, *retries):
            self._settle(index, None, StepCost())
            self._stop(index)
        self._over_budget.clear()
        self._undecided.clear()
        self._retries.clear()
        self._engines.cancel_waiting()

    def _stop(self, index: StepIndex) -> None:
        """End a step without running it, because another one failed."""
        assert self._failed is not None
        begun = self._running.pop(index, None) or self._steps[index]
        self._stopped[self._steps[index].stage] += 1
        why = f"not begun, because {_failed_name(self._failed)} failed (fail-fast)"
        self._end(index, self._lifecycle.skip(begun, why))

    def _record(self, step: Step, result: StepResult) -> None:
        """Record the end of a step, or of an attempt that is retried; publish its output."""
        self._progress.ended(step, result.attempt)
        if self._fail_fast and self._failed is None and _has_failed(result):
            self._failed = step
        self.attempts.append(result.attempt or _up_to_date(step))
        claim = ""
        if result.retry_s is None:
            claim = self._claimed.pass_on(result.key, result.attempt)
        publication = result.publication
        if publication is not None:
            self._publisher.send(replace(publication, claim=claim) if claim else publication)

    def _wait_for(self, key: str) -> None:
        """Wait a while for another run to publish what a key stands for."""
        # A run that waits holds nothing back: two runs that wait for each other would never end.
        self._publisher.settle()
        self._claimed.wait(key)

    def _patience(self) -> float:
        """Seconds to wait for engines before something else is due."""
        most = _OTHERS_S if self._queue.has_postponed else _PATIENCE_S
        until = [self._retries[0][0] - time.monotonic()] if self._retries else []
        return max(0.0, min([most, *until]))

    def _check_others(self) -> None:
        """Check now and then whether other runs have published what steps were put off for."""
        now = time.monotonic()
        if now - self._others_checked_at >= _OTHERS_S:
            self._others_checked_at = now
            self._queue.retry_postponed(wait=False)


def _has_failed(result: StepResult) -> bool:
    attempt = result.attempt
    return attempt is not None and attempt.outcome is Outcome.FAILED


def _failed_name(step: Step) -> str:
    return place_name(step.stage, step.partition)


def _up_to_date(step: Step) -> Attempt:
    return Attempt(
        stage=step.stage, partition=step.partition, action=step.action, outcome=Outcome.CURRENT
    )
