"""Who may have how much of a machine: workers, CPUs, memory by the caps of tasks, and devices.

A task that wants more of something than there is has it to itself. What a task lacks is kept for it:
those that come after it don't take it meanwhile, so that a large one doesn't wait for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tidemill.ports.execution import Task, WorkerClass

_WORKERS, _CPUS, _MEMORY, _GPUS = "workers", "cpus", "memory", "gpus"
# What tasks that are deferrable have counts as free for those that aren't; memory and devices can't.
_LENT = frozenset({_WORKERS, _CPUS})
# CPUs are counted in thousandths: sums of fractions would drift.
_FINE = 1000


class Shares:
    """What tasks at work have of each resource; a resource that isn't limited isn't counted."""

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
        """What a task takes of each resource, at most all that there is."""
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
        """A task has begun."""
        self._count(task, 1)

    def give(self, task: Task) -> None:
        """A task has ended."""
        self._count(task, -1)

    def _count(self, task: Task, sign: int) -> None:
        later = task.worker_class in self.later
        for key, want in self.wants(task).items():
            self.taken[key] += sign * want
            if later:
                self.lent[key] += sign * want


class Round:
    """One look at tasks that wait, those that are to go first coming first."""

    def __init__(self, shares: Shares) -> None:
        self._shares = shares
        self._kept: dict[str, int] = {}
        self._urgent = False

    def lacks(self, task: Task) -> Collection[str]:
        """Of what there is too little for a task now."""
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
        """Keep for a task what it lacks, or all that it wants if it only lacks a worker.

        While it could do with CPUs, nothing that is deferrable begins: all are kept from those.
        """
        for key, want in self._shares.wants(task).items():
            if not lacking or key in lacking:
                self._kept[key] = self._kept.get(key, 0) + want
        if task.worker_class not in self._shares.later:
            self._urgent = self._urgent or not lacking or not _LENT.isdisjoint(lacking)


def _fine(cpus: float) -> int:
    return max(1, round(cpus * _FINE))
