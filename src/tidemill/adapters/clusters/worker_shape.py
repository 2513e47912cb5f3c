"""The resources of a worker on a cluster."""

from __future__ import annotations

from math import ceil

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerShape:
    """What a cluster reserves for a worker: CPUs, bytes of memory, devices, seconds (0: no limit).

    `labels` say where it may be placed, in the words of the cluster.
    """

    cpus: float = 1.0
    memory: int = 0
    gpus: int = 0
    labels: tuple[tuple[str, str], ...] = ()
    lifetime_s: float = 0.0

    @property
    def slots(self) -> int:
        """How many tasks of one CPU it runs at once."""
        return max(1, ceil(self.cpus))

    def __str__(self) -> str:
        parts = [f"{self.cpus:g} CPUs"]
        parts += [f"{self.memory / 1e9:.3g} GB"] if self.memory else []
        parts += [f"{self.gpus} GPUs"] if self.gpus else []
        parts += [f"{name}={value}" for name, value in self.labels]
        parts += [f"{self.lifetime_s / 60:g} min"] if self.lifetime_s else []
        return ", ".join(parts)
