"""Allocate workers, CPUs, memory (by the tasks' caps) and devices to tasks.

A task that needs more of a resource than exists gets all of it. What a waiting task lacks is reserved
for it, so that later small tasks don't starve a large one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidemill.ports.execution import Task, WorkerClass

_WORKERS, _CPUS, _MEMORY, _GPUS = "workers", "cpus", "memory", "gpus"
# Deferrable tasks' use of these counts as free for other tasks; memory and devices can't be shared.
_LENT = frozenset({_WORKERS, _CPUS})
# CPUs are counted in thousandths, because sums of fractions would drift.
_FINE = 1000


class Shares:
    """Track how much of each limited resource the running tasks use."""

    def __init__(
        self,
        *,
        workers: int,
        cpus: float,
        memory: int = 0,
        gpus: int = 0,
        classes: Mapping[str, WorkerClass] | None = None,
    ) -> None:
        classes = classes or {}
        self.later = frozenset(name for name, held in classes.items() if held.deferrable)
        self._budgets = {name: f"memory of {name}" for name, held in classes.items() if held.memory}
        self.all = {_WORKERS: workers, _CPUS: _fine(cpus), _GPUS: gpus}
        if memory:
            self.all[_MEMORY] = memory
        self.all |= {key: classes[name].memory for name, key in self._budgets.items()}
        self.taken = dict.fromkeys(self.all, 0)
        self.lent = dict.fromkeys(self.all, 0)

    def wants(self, task: Task) -> dict[str, int]:
        """The amount of each resource that a task takes, at most all of it."""
        limits = self.all
        wants = {_WORKERS: 1, _CPUS: min(_fine(task.cpus), limits[_CPUS])}
        if task.gpus:
            wants[_GPUS] = task.gpus
        if task.memory:
            for key in (_MEMORY, self._budgets.get(task.worker_class, "")):
                if key in limits:
                    wants[key] = min(task.memory, limits[key])
        return wants

    def take(self, task: Task) -> None:
        """Add a task's resources to what is used."""
        self._count(task, 1)

    def give(self, task: Task) -> None:
        """Release a task's resources."""
        self._count(task, -1)

    def _count(self, task: Task, sign: int) -> None:
        later = task.worker_class in self.later
        for key, want in self.wants(task).items():
            self.taken[key] += sign * want
            if later:
                self.lent[key] += sign * want


class Round:
    """One pass over the waiting tasks, in priority order, with reservations for those that must wait."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._kept: dict[str, int] = {}
        self._urgent = False

    def lacks(self, task: Task) -> Collection[str]:
        """The resources that are too scarce to start a task now."""
        shares, later = self._shares, task.worker_class in self._shares.later
        if later and self._urgent:
            return _LENT
        lacking = []
        for key, want in shares.wants(task).items():
            used = shares.taken[key] + self._kept.get(key, 0)
            if not later and key in _LENT:
                used -= shares.lent[key]
            if used + want > shares.all[key]:
                lacking.append(key)
        return lacking

    def keep(self, task: Task, lacking: Collection[str]) -> None:
        """Reserve what a task lacks, or everything it needs if it lacks only a worker.

        While an urgent task needs CPUs or workers, no deferrable task starts.
        """
        for key, want in self._shares.wants(task).items():
            if not lacking or key in lacking:
                self._kept[key] = self._kept.get(key, 0) + want
        if task.worker_class not in self._shares.later:
            self._urgent = self._urgent or not lacking or not _LENT.isdisjoint(lacking)


def _fine(cpus: float) -> int:
    return max(1, round(cpus * _FINE))
