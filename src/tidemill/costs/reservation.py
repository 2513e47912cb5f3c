"""Decide which work may begin under budgets, and which work has to stop, so that none is exceeded.

What a run has used so far is measured as a whole. To that is added, for each task at work, the larger of what
is left of its reservation, and its *margin*: the most that it can use until it is looked at again and has
ended. As long as the sum fits into what was left of each budget when the run began, whatever happens until
the next look exceeds none of them. A task that needs more than it reserved gets it while there is room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.budget import BudgetStatus
from tidemill.costs.spent import NOTHING_SPENT, Spent
from tidemill.ledger.price import GB, Price

# What a run needs to end: to record its steps and itself, and to close its workers.
CLOSING = Spent(cpu_s=0.5)
# A task may compute for so long until it is looked at again and has ended; a busy machine looks late. The
# process of the run then records what came of it.
_LATE_S, _RECORDING_S = 0.3, 0.05
# The memory that a task without a cap is taken to hold, in gigabytes.
MEMORY_GB = 2.0


def task_margin(cpus: float = 1.0, cap: int = 0, gpus: int = 0) -> Spent:
    """The most that a task uses until it is looked at again and has ended; `cap` is in bytes (0: none)."""
    memory = cap / GB if cap else MEMORY_GB
    return Spent(
        cpu_s=cpus * _LATE_S + _RECORDING_S, memory_gb_s=memory * _LATE_S, gpu_s=gpus * _LATE_S
    )


# With less left than this, no task begins.
LEAST = CLOSING + task_margin()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    """What a task reserved, its margin, and what it had used at the last look and at the one `before`.

    One that is `stopped` is about to end: its margin was for the time since the look before that.
    """

    expected: Spent
    margin: Spent
    used: Spent = NOTHING_SPENT
    before: Spent = NOTHING_SPENT
    stopped: bool = False

    def outstanding(self) -> Spent:
        """The most that it uses from now on, as far as it is allowed to."""
        if self.stopped:
            return (self.before + self.margin).without(self.used)
        return self.expected.without(self.used).most(self.margin)

    def seen(self, used: Spent) -> _Reservation:
        """The task at the next look."""
        return replace(self, used=used, before=self.before if self.stopped else self.used)


class Reservations:
    """The reservations of a run's tasks on budgets, of which `statuses` say what was left at its beginning.

    `closing` is what the run itself needs to end once everything has stopped. `used` is what the run has used
    so far, all of it.
    """

    def __init__(
        self, statuses: Iterable[BudgetStatus], price: Price, *, closing: Spent = NOTHING_SPENT
    ) -> None:
        self._statuses = tuple(statuses)
        self._price = price
        self._closing = closing
        self._tasks: dict[str, _Reservation] = {}
        self.used = NOTHING_SPENT

    @property
    def tasks(self) -> int:
        """How many tasks have reservations."""
        return len(self._tasks)

    def reserve(self, task: str, expected: Spent, margin: Spent) -> BudgetStatus | None:
        """Let a task begin, or return the budget into which it doesn't fit."""
        self._tasks[task] = _Reservation(expected=expected, margin=margin)
        exceeded = next(self._exceeded(), None)
        if exceeded is not None:
            del self._tasks[task]
        return exceeded

    def release(self, task: str) -> bool:
        """Forget a task that ended, whose usage `used` has; whether it had a reservation."""
        return self._tasks.pop(task, None) is not None

    def look(self, used: Spent, by_task: Mapping[str, Spent]) -> Mapping[str, BudgetStatus]:
        """Note what the run and its tasks have used; return the tasks to stop, with the budget of each.

        Tasks that use more than they reserved are stopped first, those that exceed it most before others.
        """
        self.used = used
        for task, own in by_task.items():
            if task in self._tasks:
                self._tasks[task] = self._tasks[task].seen(own)
        stopped: dict[str, BudgetStatus] = {}
        while (exceeded := next(self._exceeded(), None)) is not None:
            running = [name for name, each in self._tasks.items() if not each.stopped]
            if not running:
                break
            task = max(running, key=partial(self._excess, exceeded))
            self._tasks[task] = replace(self._tasks[task], stopped=True)
            stopped[task] = exceeded
        return stopped

    def left(self, status: BudgetStatus) -> float:
        """What is left of a budget now, beside all reservations; below 0 where it is exceeded."""
        committed = self.used + self._closing
        for each in self._tasks.values():
            committed += each.outstanding()
        return status.left - committed.share_of(status.budget.limit, self._price)

    def _exceeded(self) -> Iterator[BudgetStatus]:
        return (status for status in self._statuses if self.left(status) < 0)

    def _excess(self, status: BudgetStatus, task: str) -> float:
        """By how much a task exceeds what it reserved, or comes near to it."""
        own, limit = self._tasks[task], status.budget.limit
        needed = (own.used + own.margin).share_of(limit, self._price)
        return needed - own.expected.share_of(limit, self._price)
