"""The partitions that are due, as a plan says, for whoever looks at them often."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Head
from tidemill.ledger.run import Action
from tidemill.planning.request import Request
from tidemill.ports.ledger import State
from tidemill.project.plans import Plans

# Without events the sources are looked at this often (seconds). A plan may take seconds with many partitions:
# at most this share of the time is spent on plans.
_KEPT_S, _SHARE = 30.0, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePartitions:
    """How many partitions of each stage are due; None if that isn't known, and `note` says why."""

    counts: Mapping[str, int] | None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """The steps of a plan on the state after event `seq`: by stage and partition, whether it is removed.

    It was made `at` a time (Unix seconds), and took some seconds.
    """

    seq: int
    at: float
    took_s: float
    steps: Mapping[str, Mapping[str, bool]] | None
    note: str = ""


class DueWork:
    """Plans what is due, and remembers it while it is new enough."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._planned: _Planned | None = None

    def read(self, state: State, now: float) -> DuePartitions:
        """What is due in a state: by a plan of a moment ago, without what was published since."""
        planned = self._planned
        if planned is None or not _is_recent(planned, state.seq, now):
            planned = self._planned = self._plan(state.seq, now)
        if planned.steps is None:
            return DuePartitions(counts=None, note=planned.note)
        left = {
            stage: _left(steps, state.heads.get(stage), planned)
            for stage, steps in planned.steps.items()
        }
        return DuePartitions(counts=left)

    def _plan(self, seq: int, now: float) -> _Planned:
        begun = time.perf_counter()
        steps: dict[str, dict[str, bool]] = {}
        note = ""
        try:
            for step in self._plans.make(Request()).steps:
                steps.setdefault(step.stage, {})[step.partition] = step.action is Action.REMOVE
        except TidemillError as error:
            note = f"what is due isn't known: {error}"
        took = time.perf_counter() - begun
        known = None if note else steps
        return _Planned(seq=seq, at=now, took_s=took, steps=known, note=note)


def _is_recent(planned: _Planned, seq: int, now: float) -> bool:
    rest = planned.took_s / _SHARE
    return 0 <= now - planned.at < (rest if planned.seq != seq else max(rest, _KEPT_S))


def _left(steps: Mapping[str, bool], head: Head | None, planned: _Planned) -> int:
    """How many steps of a stage weren't done since its plan, by what is published now."""
    if head is None or head.last_event <= planned.seq:
        return len(steps)
    return sum(
        1 for key, is_removal in steps.items() if not _is_done(key, is_removal, head, planned.at)
    )


def _is_done(key: str, is_removal: bool, head: Head, since: float) -> bool:
    found = head.partitions.get(key)
    if is_removal:
        return found is None
    return found is not None and found.at >= since
