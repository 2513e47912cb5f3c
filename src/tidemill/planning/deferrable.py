"""Which steps of a plan can be put off when money is short, without harm to what users see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Head
from tidemill.ledger.run import Action
from tidemill.planning.placement import freshness_needs
from tidemill.planning.plan import Step
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.stage import Flow

# These compute nothing new: results that are known are published, and what is decided is done.
_NO_WORK = (Action.BIND, Action.GATE, Action.REMOVE)
_LEARNING = (Action.TRAIN, Action.TRIAL, Action.EVALUATE)
# So many of the newest partitions of a stage are no backfill.
_NEW = 2


class Deferral:
    """Tells which steps of an environment's plan can be put off.

    Outside of production all of them: they are experiments. In production these are trainings with their
    trials and evaluations, all work of a `deferrable` workflow, stages that nothing with a freshness rule
    needs (if there is any with one), and partitions of such stages that are older than the newest ones that
    are planned or among the `heads`.
    """

    def __init__(
        self, flow: Flow, environment: str, steps: Iterable[Step], heads: Mapping[str, Head]
    ) -> None:
        self._everything = environment != PRODUCTION or flow.deferrable
        self._needs = freshness_needs(flow)
        self._new = _newest(steps, heads)

    def __call__(self, step: Step) -> bool:
        if step.action in _NO_WORK:
            return False
        if self._everything or step.action in _LEARNING:
            return True
        if step.stage in self._needs:
            return False
        return bool(self._needs) or step.partition not in self._new[step.stage]


def computes(step: Step) -> bool:
    """Whether a step computes something, as far as it is known before."""
    return step.action not in _NO_WORK


def _newest(steps: Iterable[Step], heads: Mapping[str, Head]) -> dict[str, set[str]]:
    """The newest partitions of each planned stage, planned or published."""
    found: dict[str, set[str]] = {}
    for step in steps:
        found.setdefault(step.stage, set()).add(step.partition)
    # Else what is left of a backfill would have new ones in each run.
    for stage, keys in found.items():
        if stage in heads:
            keys.update(heads[stage].partitions)
    return {stage: {WHOLE, *sorted(keys)[-_NEW:]} for stage, keys in found.items()}
