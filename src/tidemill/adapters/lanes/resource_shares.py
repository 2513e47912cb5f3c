"""Allocate workers, CPUs, memory (by the tasks' caps) and devices to tasks.

A task that needs more of a resource than exists gets all of it. What a waiting task lacks is reserved
for it, so that later small tasks don't starve a large one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidemill.ports.execution import Task, WorkerClass

_WORKERS, _CPUS, _MEMORY, _GPUS = "workers", "cpus", "memory", "gpus"
# Deferrable tasks' use of these counts as free for other tasks; memory and devices can't be shared.
_SHAREABLE = frozenset({_WORKERS, _CPUS})
# CPUs are counted in thousandths, because sums of fractions would drift.
_THOUSANDTHS = 1000


class ResourceShares:
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
        self.deferrable = frozenset(name for name, held in classes.items() if held.deferrable)
        self._budget_keys = {
            name: f"memory of {name}" for name, held in classes.items() if held.memory
        }
        self.limits = {_WORKERS: workers, _CPUS: _in_thousandths(cpus), _GPUS: gpus}
        if memory:
            self.limits[_MEMORY] = memory
        self.limits |= {key: classes[name].memory for name, key in self._budget_keys.items()}
        self.used = dict.fromkeys(self.limits, 0)
        self.used_by_deferrable = dict.fromkeys(self.limits, 0)

    def demand(self, task: Task) -> dict[str, int]:
        """The amount of each resource that a task takes, at most all of it."""
        limits = self.limits
        wants = {_WORKERS: 1, _CPUS: min(_in_thousandths(task.cpus), limits[_CPUS])}
        if task.gpus:
            wants[_GPUS] = task.gpus
        if task.memory:
            for key in (_MEMORY, self._budget_keys.get(task.worker_class, "")):
                if key in limits:
                    wants[key] = min(task.memory, limits[key])
        return wants

    def allocate(self, task: Task) -> None:
        """Add a task's resources to what is used."""
        self._add(task, 1)

    def release(self, task: Task) -> None:
        """Release a task's resources."""
        self._add(task, -1)

    def _add(self, task: Task, sign: int) -> None:
        later = task.worker_class in self.deferrable
        for key, want in self.demand(task).items():
            self.used[key] += sign * want
            if later:
                self.used_by_deferrable[key] += sign * want


class AllocationRound:
    """One pass over the waiting tasks, in priority order, with reservations for those that must wait."""

    def __init__(self, shares: ResourceShares) -> None:
        self._shares = shares
        self._reserved: dict[str, int] = {}
        self._urgent_waits = False

    def shortages(self, task: Task) -> Collection[str]:
        """The resources that are too scarce to start a task now."""
        shares, later = self._shares, task.worker_class in self._shares.deferrable
        if later and self._urgent_waits:
            return _SHAREABLE
        lacking = []
        for key, want in shares.demand(task).items():
            used = shares.used[key] + self._reserved.get(key, 0)
            if not later and key in _SHAREABLE:
                used -= shares.used_by_deferrable[key]
            if used + want > shares.limits[key]:
                lacking.append(key)
        return lacking

    def reserve(self, task: Task, shortages: Collection[str]) -> None:
        """Reserve what a task lacks, or everything it needs if it lacks only a worker.

        While an urgent task needs CPUs or workers, no deferrable task starts.
        """
        for key, want in self._shares.demand(task).items():
            if not shortages or key in shortages:
                self._reserved[key] = self._reserved.get(key, 0) + want
        if task.worker_class not in self._shares.deferrable:
            self._urgent_waits = (
                self._urgent_waits or not shortages or not _SHAREABLE.isdisjoint(shortages)
            )


def _in_thousandths(cpus: float) -> int:
    return max(1, round(cpus * _THOUSANDTHS))
