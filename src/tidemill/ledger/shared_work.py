"""Whose work the results of an environment are, and what it would take to compute them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.cost import Cost
from tidemill.ledger.run import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStage:
    """A stage's published partitions, and how many of them somebody else computed.

    `cpu_s` is what these would take to be computed again, by the average of earlier steps; None if no step is
    known.
    """

    stage: str
    partitions: int
    by_others: int
    cpu_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWork:
    """The stages of an environment, and who computed how many of its partitions: each a user and a host.

    `here` is whoever asks. Without the others it would have to compute their partitions again.
    """

    here: str
    computed_by: Mapping[str, int]
    stages: tuple[SharedStage, ...]

    @property
    def by_others(self) -> int:
        """How many partitions others computed."""
        return sum(stage.by_others for stage in self.stages)

    @property
    def cpu_s(self) -> float:
        """What these would take to be computed again, in seconds of CPU, as far as it is known."""
        return sum(stage.cpu_s or 0.0 for stage in self.stages)


def shared_work(
    here: str,
    computed_by: Mapping[str, Mapping[str, int]],
    costs: Mapping[str, Mapping[str, Cost]],
) -> SharedWork:
    """Tell whose work each stage is; `computed_by` has how many of its partitions each one computed."""
    counts = Counter[str]()
    stages = []
    for stage, by in computed_by.items():
        counts.update(by)
        partitions = sum(by.values())
        others = partitions - by.get(here, 0)
        one = _cpu_of_step(costs.get(stage, {}))
        cpu_s = None if one is None else others * one
        stages.append(
            SharedStage(stage=stage, partitions=partitions, by_others=others, cpu_s=cpu_s)
        )
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return SharedWork(here=here, computed_by=dict(ranked), stages=tuple(stages))


def _cpu_of_step(costs: Mapping[str, Cost]) -> float | None:
    """The average CPU seconds of what a stage's steps do most; binding a result isn't computing it."""
    done = [cost for action, cost in costs.items() if action != Action.BIND]
    return max(done, key=lambda cost: cost.attempts).cpu_s if done else None
