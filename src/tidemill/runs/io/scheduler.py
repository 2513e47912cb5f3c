"""Take the steps of a plan from their turn to their publication, as many side by side as there is room for.

Everything but making what a step gives happens in the run's own thread, and so in one order. What isn't
made there either goes to an engine; meanwhile the thread makes what is its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from heapq import heapify, heappop, heappush

from tidemill.core.errors import UsageError
from tidemill.ledger.run import Attempt, Outcome
from tidemill.planning.batches import STEPS, can_batch, taken
from tidemill.planning.placement import Placing, Traits
from tidemill.planning.plan import Step
from tidemill.ports.execution import TaskEvent
from tidemill.runs.io.claims import Claimed
from tidemill.runs.io.engines import Lanes
from tidemill.runs.io.job import Job
from tidemill.runs.io.meter import Meter
from tidemill.runs.io.publisher import Publisher
from tidemill.runs.io.ready_queue import Turns
from tidemill.runs.io.step_lifecycle import Begun, Done, Spent, Steps
from tidemill.steps.io.step_runner import Workshop
from tidemill.steps.io.task_codec import context_of, errand_of, lent, read_answer
from tidemill.steps.step_messages import Failed, Made, Work
from tidemill.workflow.stage import Kind

# Steps of the run's own that may wait while those for engines behind them are looked for.
_AHEAD = 64
# How long nothing needs to be looked at while engines are at work; what another run has is asked for more
# often.
_PATIENCE_S, _OTHERS_S = 0.5, 0.2


class Running:
    """The steps of one run at work; `attempts` is what became of them, in the order of their ends."""

    def __init__(
        self,
        job: Job,
        steps: Steps,
        shop: Workshop,
        publisher: Publisher,
        claimed: Claimed,
        lend: Callable[[], Workshop],
    ) -> None:
        self.attempts: list[Attempt] = []
        self._job = job
        self._steps = steps
        self._shop = shop
        self._publisher = publisher
        self._claimed = claimed
        where = job.elsewhere
        self._batched = {
            stage.name for stage in job.flow.stages if can_batch(stage, job.recipes[stage.name])
        }
        self._placing = Placing(
            job.flow,
            job.plan,
            cpus=where.cpus,
            engines=where.engines.keys(),
            traits=Traits(
                pure={name for name, recipe in job.recipes.items() if recipe.lineage},
                bound=_bound(job),
                memos={name for name, recipe in job.recipes.items() if recipe.memos},
                batched=self._batched,
            ),
            careful=where.careful,
        )
        self._order = self._placing.order
        places = {self._placing.of(step).where for step in self._order}
        self._ahead = _AHEAD if places - {"here"} else 1
        if "thread" in places:
            # What other threads take is theirs.
            steps.clock = time.thread_time
        self._turns = Turns(job.flow, self._order, self._wait_for_other)
        self._lanes = Lanes(where)
        self._context = context_of(where.context)
        self._lend = lend
        # By the number of the step: those at work, and those whose turn to be published comes later.
        self._begun: dict[int, Begun] = {}
        self._parked: dict[int, tuple[Begun, Made | Failed | None, Spent]] = {}
        # What is to be made here, and what is to be tried again from some moment on.
        self._here: list[int] = []
        self._later: list[tuple[float, int]] = []
        self._own: set[int] = set()
        self._asked = 0.0
        # What was made here, and may not be in the store yet.
        self._unstored: set[str] = set()

    @property
    def notes(self) -> list[str]:
        """What isn't done as it was asked for."""
        return [
            f"{name}: its timeout=, memory= and gpus= don't hold, because the workflow is in no module "
            "that a worker process could import"
            for name in self._placing.unkept
        ]

    def all(self) -> None:
        """Do all steps; errors of the store are raised, and end the engines like everything else."""
        lent[self._context] = self._lend
        self._job.progress.begin(self._job.plan)
        # After who watches: what replaced the streams for that is where prints go on to.
        with self._shop.recorder:
            try:
                while self._go_on():
                    continue
                assert not self._begun, "a step was begun, and nothing came of it"
            finally:
                self._lanes.close()
                del lent[self._context]

    def _go_on(self) -> bool:
        """Do what can be done now, or wait for it; False when all is done."""
        self._fill()
        if self._here:
            self._make(heappop(self._here))
            self._collect(0.0)
        elif self._lanes.at_work or self._later:
            self._collect(self._patience())
        else:
            return self._turns.again(wait=True)
        self._ask_for_others()
        return True

    def _fill(self) -> None:
        """Begin steps whose turn it is. Where nothing goes to engines, one at a time, or those of a batch."""
        while len(self._here) < self._ahead and self._lanes.room:
            at = self._turns.take()
            if at is None:
                return
            self._begin(at)
            stage = self._order[at].stage
            batch = STEPS if stage in self._batched and at in self._here else 0
            while len(self._here) < batch and (at := self._turns.take(stage)) is not None:
                self._begin(at)

    def _begin(self, at: int) -> None:
        step = self._order[at]
        self._job.progress.started(step)
        begun = self._steps.begin(step)
        if isinstance(begun, Begun) and begun.work is None:
            self._made(at, begun, None, Spent())
        elif isinstance(begun, Begun):
            self._send(at, begun, begun.work)
        elif begun.put_off:
            self._turns.put_off(at, begun.put_off)
        else:
            self._ended(at, begun)

    def _send(self, at: int, begun: Begun, work: Work | None) -> None:
        """Let it be made where that is to be."""
        assert work is not None
        self._begun[at] = begun
        place = self._placing.of(begun.step)
        if place.where == "here" or at in self._own:
            heappush(self._here, at)
            return
        self._store(work)
        limits = self._job.flow[work.stage].resources
        try:
            self._lanes.submit(str(at), errand_of(self._context, work), place, limits)
        except UsageError as error:
            self._made(
                at,
                self._begun.pop(at),
                Failed(message=str(error).removeprefix(f"task {at}: ")),
                Spent(),
            )

    def _store(self, work: Work) -> None:
        """Wait until what the work reads is where others can read it."""
        read = {n for bound in work.inputs.values() for b in bound.values() for n in b.product.pins}
        if work.artifact is not None:
            read.add(work.artifact.object)
        if not self._unstored.isdisjoint(read):
            self._publisher.settle()
            self._unstored.clear()

    def _make(self, at: int) -> None:
        """Make what a step gives in this thread, with others of its stage where one call makes all."""
        rows = self._alike(at)
        several = taken(rows)
        if len(several) > 1:
            self._here = [other for other in self._here if other not in several]
            heapify(self._here)
            self._make_together({other: rows[other] for other in several})
        else:
            self._make_alone(at)

    def _alike(self, at: int) -> dict[int, int]:
        """The step and those here that can be made with it, with the rows that each reads."""
        own = self._begun[at].work
        if own is None or own.stage not in self._batched or not own.is_like(own):
            return {}
        works = {n: self._begun[n].work for n in (at, *sorted(self._here))}
        return {n: work.rows for n, work in works.items() if work and work.is_like(own)}

    def _make_together(self, rows: Mapping[int, int]) -> None:
        meter = Meter(self._steps.clock)
        works = [work for at in rows if (work := self._begun[at].work) is not None]
        made = self._shop.make_together(works)
        wall, cpu = meter.read()
        # What a call takes for one more step is mostly what its rows take.
        total = sum(rows.values()) + len(rows)
        for (at, count), gave in zip(rows.items(), made, strict=True):
            share = (count + 1) / total
            spent = Spent(wall_s=wall * share, cpu_s=cpu * share)
            if gave is None:
                self._begun[at].spend(spent)
                self._make_alone(at)
            else:
                self._gave(at, gave, spent)

    def _make_alone(self, at: int) -> None:
        meter = Meter(self._steps.clock)
        work = self._begun[at].work
        assert work is not None
        gave = self._shop.make(work)
        wall, cpu = meter.read()
        self._gave(at, gave, Spent(wall_s=wall, cpu_s=cpu))

    def _gave(self, at: int, gave: Made | Failed, spent: Spent) -> None:
        if isinstance(gave, Made):
            self._unstored.update(gave.product.pins)
        self._made(at, self._begun.pop(at), gave, spent)

    def _collect(self, timeout_s: float) -> None:
        """Take what engines made, and send again what was to be tried later."""
        if self._lanes.at_work:
            for event in self._lanes.ended(timeout_s):
                self._answered(int(event.task), event)
        elif timeout_s:
            time.sleep(timeout_s)
        while self._later and self._later[0][0] <= time.monotonic():
            at = heappop(self._later)[1]
            begun = self._begun.pop(at)
            self._job.progress.started(begun.step)
            self._send(at, begun, begun.work)

    def _answered(self, at: int, event: TaskEvent) -> None:
        begun = self._begun.pop(at)
        stage = self._job.flow[begun.step.stage]
        gave = read_answer(event, stage.retries)
        if isinstance(gave, Failed) and gave.unlike:
            if not stage.resources.limited:
                # The code that was planned is here.
                self._own.add(at)
                self._send(at, begun, begun.work)
                return
            gave = replace(
                gave,
                message="its code isn't the same in a worker process, where its limits would hold: "
                "it was edited meanwhile, or holds what differs from process to process",
            )
        spent = Spent(
            wall_s=event.wall_s,
            cpu_s=event.cpu_s,
            queued_s=event.queued_s,
            peak_rss=event.peak_rss,
            worker=event.worker,
        )
        self._made(at, begun, gave, spent)

    def _made(self, at: int, begun: Begun, gave: Made | Failed | None, spent: Spent) -> None:
        """Finish a step; where partitions are judged one after the other, when its turn has come."""
        if not self._turns.first(at):
            self._parked[at] = begun, gave, spent
            return
        done = self._steps.finish(begun, gave, spent)
        if done.again_s is None:
            self._ended(at, done)
        else:
            self._tell(begun.step, done)
            self._begun[at] = begun.again()
            heappush(self._later, (time.monotonic() + done.again_s, at))

    def _ended(self, at: int, done: Done) -> None:
        self._turns.done(at)
        self._tell(self._order[at], done)
        for other in sorted(self._parked):
            if self._turns.first(other):
                self._made(other, *self._parked.pop(other))
                return  # which goes on with the next

    def _tell(self, step: Step, done: Done) -> None:
        """Publish what a step gave, and say what became of it."""
        self._job.progress.ended(step, done.attempt)
        self.attempts.append(done.attempt or _current(step))
        claim = ""
        if done.again_s is None:
            claim = self._claimed.passed(done.key, done.attempt)
        if done.parcel is not None:
            self._publisher.send(replace(done.parcel, claim=claim))

    def _patience(self) -> float:
        until = [self._later[0][0] - time.monotonic()] if self._later else []
        most = _OTHERS_S if self._turns.held_up else _PATIENCE_S
        return max(0.0, min([most, *until]))

    def _ask_for_others(self) -> None:
        """See now and then whether another run has made by now what was put off."""
        now = time.monotonic()
        if self._turns.held_up and now - self._asked >= _OTHERS_S:
            self._asked = now
            self._turns.again(wait=False)

    def _wait_for_other(self, key: str) -> None:
        # Who waits holds nothing: two runs that wait for each other would never end.
        self._publisher.settle()
        self._claimed.wait(key)


def _bound(job: Job) -> set[str]:
    """The ingests that may read a database as it was when the run was planned, which only we can."""
    if not job.tools.outside.keeps:
        return set()
    return {stage.name for stage in job.flow.stages if stage.kind is Kind.INGEST}


def _current(step: Step) -> Attempt:
    return Attempt(
        stage=step.stage, partition=step.partition, action=step.action, outcome=Outcome.CURRENT
    )
