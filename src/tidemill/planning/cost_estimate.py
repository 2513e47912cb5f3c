"""Estimate what the steps of a plan cost, and the run beside them, from what earlier ones did cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from statistics import median

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.quantities import Quantities, attempt_quantities
from tidemill.ledger.price import Price
from tidemill.ledger.run import Attempt, Outcome, Receipt
from tidemill.planning.plan import Step

# A run without steps costs as much beside them as so many more steps add to that.
_STEPS_OF_A_RUN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWork:
    """The newest attempts at the steps of some stages, and the newest receipts of an environment."""

    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    receipts: Sequence[Receipt] = ()


class UsualWork:
    """What steps are expected to use, by what earlier ones did use."""

    def __init__(self, past: PastWork) -> None:
        self._past = past
        self._rates: dict[tuple[str, str], Quantities] = {}

    def of(self, step: Step) -> Quantities | None:
        """What a step is expected to use; None if its stage has no history."""
        if step.cpu_s is None:
            return None
        key = step.stage, step.action
        if key not in self._rates:
            self._rates[key] = _beside_cpu(self._past.attempts.get(step.stage, ()), step.action)
        used = self._rates[key]
        seconds = step.wall_s or 0.0
        return Quantities(
            cpu_s=step.cpu_s,
            memory_gb_s=used.memory_gb_s * seconds,
            gpu_s=used.gpu_s * seconds,
            egress_gb=used.egress_gb,
            units=used.units,
            spent=used.spent,
        )

    def run_share(self, steps: Iterable[Step]) -> Quantities:
        """What a run of steps is expected to use beside them."""
        seconds = [step.cpu_s for step in steps if step.cpu_s is not None]
        if not seconds:
            return Quantities()
        return _beside_steps(self._past.receipts, len(seconds), sum(seconds))


def estimate_cost(steps: Iterable[Step], past: PastWork, price: Price) -> float | None:
    """The estimated cost of steps and of the run that they make.

    Steps without history are left out; None if there are no others.
    """
    some, usual, found = tuple(steps), UsualWork(past), Quantities()
    known = [used for step in some if (used := usual.of(step)) is not None]
    if some and not known:
        return None
    for used in known:
        found.add(used)
    found.add(usual.run_share(some))
    return found.cost(price)


def _beside_cpu(attempts: Sequence[Attempt], action: str) -> Quantities:
    """What earlier steps used beside CPU time: memory and GPUs per second, all else per step."""
    good = [each for each in attempts if each.action == action and each.outcome is Outcome.OK]
    if not good:
        return Quantities()
    total = Quantities()
    for each in good:
        total.add(attempt_quantities(each))
    seconds = sum(each.wall_s for each in good) or 1.0
    return Quantities(
        memory_gb_s=total.memory_gb_s / seconds,
        gpu_s=total.gpu_s / seconds,
        egress_gb=total.egress_gb / len(good),
        units={name: number / len(good) for name, number in total.units.items()},
        spent=total.spent / len(good),
    )


def _beside_steps(receipts: Sequence[Receipt], count: int, cpu_s: float) -> Quantities:
    """What a run of so many steps is expected to use beside them."""
    cpus, memories = [], []
    for receipt in receipts:
        steps = sum(each.ran + each.bound + each.failed + each.retried for each in receipt.stages)
        if not steps or not receipt.cpu_s:
            continue
        beside = receipt.cpu_s - sum(each.cpu_s for each in receipt.stages)
        scale = (count + _STEPS_OF_A_RUN) / (steps + _STEPS_OF_A_RUN)
        cpus.append(max(0.0, beside) * scale)
        held = receipt.memory_gb_s - sum(each.memory_gb_s for each in receipt.stages)
        memories.append(max(0.0, held) / receipt.cpu_s)
    if not cpus:
        return Quantities()
    own = median(cpus)
    return Quantities(cpu_s=own, memory_gb_s=median(memories) * (cpu_s + own))
