"""The budgets that a run obeys: which steps may begin, which have to stop, and what it says about that."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.budget import BudgetStatus, how_to_go_on
from tidemill.costs.quantities import Quantities
from tidemill.costs.reservation import CLOSING, MEMORY_GB, Reservations, task_margin
from tidemill.costs.spent import NOTHING_SPENT, Spent, spent_of
from tidemill.ledger.io.process_usage import Stopwatch, cpu_with_children, peak_memory
from tidemill.ledger.price import GB, Price
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.planning.placement import expected_seconds
from tidemill.planning.plan import Step
from tidemill.ports.execution import TaskUsage
from tidemill.steps.step_messages import StepCost

# Estimates are means: half of the steps take longer.
_SAFETY = 1.2
_LEFT = (Outcome.SKIPPED, Outcome.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPermit:
    """Whether a step may begin; else whether it `waits` for others to end, and the reason."""

    begins: bool
    waits: bool = False
    why: str = ""


class RunBudget:
    """What a run may spend by each of the `statuses`, and what it has used.

    `is_limited` says which steps the budgets stop; the others only count. With `is_near` so little is left
    that they run where they can be stopped, at most as many at once as there are `workers`, so that nothing
    is reserved for steps that only wait for one. `usual` is what a step should use by earlier ones.
    `cpu_clock` returns the CPU seconds of this process and of its children that ended, `own_clock` those of
    this process alone. It is used from the run's own thread and from those of engines.
    """

    def __init__(  # noqa: PLR0913 - what it decides by, and two clocks
        self,
        statuses: Sequence[BudgetStatus],
        price: Price,
        *,
        is_limited: Callable[[Step], bool],
        usual: Callable[[Step], Quantities | None] = lambda _: None,
        is_near: bool = True,
        workers: int = 1,
        cpu_clock: Callable[[], float] = cpu_with_children,
        own_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._lock = threading.Lock()
        self._statuses = tuple(statuses)
        self._room = Reservations(statuses, price, closing=CLOSING)
        self._price = price
        self._is_limited = is_limited
        self._usual = usual
        self._is_near = is_near
        self.workers = workers
        self._cpu_clock, self._own_clock = cpu_clock, own_clock
        self.began = cpu_clock()
        # At the last look of an engine: the CPU time of the run with its workers, and that of this process.
        self._looked = 0.0, own_clock()
        self._wall = Stopwatch()
        # What ended tasks used beside CPU time, which is measured for the run as a whole; and running ones.
        self._ended = NOTHING_SPENT
        self._running: dict[str, Spent] = {}
        self._gpus: dict[str, int] = {}
        # The steps of tasks, and the money that steps of each stage and action cost in this run.
        self._steps: dict[str, Step] = {}
        self._charged: dict[tuple[str, Action], list[float]] = {}
        self._trials = set[str]()
        self._stopped = 0
        self._hit: dict[str, BudgetStatus] = {}

    def must_be_stoppable(self, step: Step) -> bool:
        """Whether a step has to run where it can be stopped, in a worker process."""
        return self._is_near and self._is_limited(step)

    def reserve(
        self, task: str, step: Step, cpus: float, cap: int = 0, gpus: int = 0
    ) -> StepPermit:
        """Decide whether a step may begin now; it holds at most `cap` bytes of memory (0: not known)."""
        if not self._is_limited(step):
            return StepPermit(begins=True)
        if step.action is Action.TRAIN and step.stage in self._trials:
            return StepPermit(begins=False, why="not begun: a budget stopped trials of its search")
        with self._lock:
            if self._is_near and self._room.tasks >= self.workers:
                return StepPermit(begins=False, waits=True)
            self._room.look(self._used(), {})
            expected = expected_use(step, self._usual_of(step), cap, gpus)
            full = self._room.reserve(task, expected, task_margin(cpus, cap, gpus))
            if full is None:
                self._gpus[task], self._steps[task] = gpus, step
                return StepPermit(begins=True)
            if self._room.tasks:
                return StepPermit(begins=False, waits=True)
            self._hit.setdefault(full.budget.setting, full)
        return StepPermit(begins=False, why=f"not begun: it may exceed the budget of {full}")

    def _usual_of(self, step: Step) -> Spent:
        """What a step should use by earlier ones; for services, those of this run tell best."""
        used = self._usual(step)
        usual = NOTHING_SPENT if used is None else spent_of(used, self._price)
        charged = self._charged.get((step.stage, step.action))
        return usual if charged is None else replace(usual, external=fmean(charged))

    def settle(self, task: str, cost: StepCost, others: Quantities | None = None) -> bool:
        """Note what a task used that ended, with `others` beside its CPU time, memory and devices.

        Return whether steps that wait may begin now.
        """
        external = 0.0 if others is None else spent_of(others, self._price).external
        with self._lock:
            step = self._steps.pop(task, None)
            # One that failed before it began tells nothing.
            if step is not None and (external or cost.wall_s):
                self._charged.setdefault((step.stage, step.action), []).append(external)
            self._running.pop(task, None)
            gpus = self._gpus.pop(task, 0)
            self._ended += Spent(
                memory_gb_s=cost.peak_rss / GB * cost.wall_s,
                gpu_s=gpus * cost.wall_s,
                external=external,
            )
            return self._room.release(task)

    def find_over(self, tasks: Mapping[str, TaskUsage], workers_cpu_s: float) -> Collection[str]:
        """Return the tasks that must end now, so that no budget is exceeded; called by an engine's thread."""
        with self._lock:
            self._looked = self._cpu_clock() - self.began + workers_cpu_s, self._own_clock()
            self._running = {
                task: Spent(
                    cpu_s=used.cpu_s,
                    memory_gb_s=used.peak_rss / GB * used.wall_s,
                    gpu_s=self._gpus.get(task, 0) * used.wall_s,
                )
                for task, used in tasks.items()
            }
            stopped = self._room.look(self._used(), self._running)
            for status in stopped.values():
                self._hit.setdefault(status.budget.setting, status)
            return stopped.keys()

    def note_stop(self, step: Step) -> None:
        """Note a step that was stopped or didn't begin."""
        self._stopped += 1
        if step.action is Action.TRIAL:
            self._trials.add(step.stage)

    def messages(
        self, attempts: Sequence[Attempt], unstoppable: Collection[str] = ()
    ) -> Iterator[str]:
        """Warn of budgets; say which ones stopped steps, what is done and left, and how to go on."""
        for status in self._statuses:
            if status.is_told and status.budget.setting not in self._hit:
                yield f"budget of {status}"
        if unstoppable:
            yield (
                f"{', '.join(unstoppable)}: judged by their estimates under a budget, because only steps in "
                "worker processes can be stopped"
            )
        if not self._stopped:
            return
        for status in self._hit.values():
            yield f"stopped by the budget of {status} before this run"
        done = Counter(a.stage for a in attempts if a.outcome is Outcome.OK)
        left = Counter(a.stage for a in attempts if a.outcome in _LEFT)
        yield f"done: {_counts(done)}; left: {_counts(left)}"
        yield (
            f"what is done stays, and the next run goes on there: {how_to_go_on(self._hit.values())}"
        )

    def _used(self) -> Spent:
        """All that the run has used: CPU time is that of the whole run, the rest is added up."""
        total, own = self._looked
        seen = total + self._own_clock() - own if total else 0.0
        # The receipt of the run says the same of the memory of this process.
        memory = peak_memory() / GB * self._wall.read()[0]
        running = sum(self._running.values(), self._ended)
        return replace(
            running + Spent(memory_gb_s=memory),
            cpu_s=max(seen, self._cpu_clock() - self.began),
        )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{stage} {number:,}" for stage, number in counts.items()) or "nothing"


def expected_use(step: Step, usual: Spent = NOTHING_SPENT, cap: int = 0, gpus: int = 0) -> Spent:
    """What a step is expected to use, with some safety; memory and devices as `usual`, or by its limits."""
    wall_s = expected_seconds(step)
    found = Spent(
        cpu_s=wall_s if step.cpu_s is None else step.cpu_s,
        memory_gb_s=usual.memory_gb_s or wall_s * (cap / GB if cap else MEMORY_GB),
        gpu_s=usual.gpu_s or wall_s * gpus,
        external=usual.external,
    )
    return found.times(_SAFETY)


def needed_to_begin(step: Step, usual: Spent = NOTHING_SPENT) -> Spent:
    """What has to be left of budgets for a step to begin."""
    return CLOSING + expected_use(step, usual).most(task_margin())
