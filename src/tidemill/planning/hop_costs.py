"""What a hop to a worker costs, and how long a step has to take to be worth it.

A hop is the time from submitting a step to its result, without what the step waited for its turn and what it
ran. A run measures hops to other machines, and the durations of steps without history, as it goes on.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable

from tidemill.ledger.run import Action
from tidemill.planning.plan import Step

# No hop counts as less than one between processes of one machine.
_LEAST_HOP_S = 0.002
# A step is worth a hop if it takes so many times as long. Where the workers can run more steps at once than
# this machine, fewer are enough: while some steps travel, others run.
_WORTH = 10.0
# The share of the newest hop in the moving mean, and the steps of a stage of which the middle one counts: the
# first one in a process also loads what it imports.
_NEWEST, _LAST = 0.1, 3
# A stage with so many steps of unknown duration is tried on this machine, which is waited for up to so long.
_MANY, _TRIAL_S = 100, 15.0


def least_seconds(hop_s: float, *, gain: float) -> float:
    """The seconds that a step has to take to be worth a hop to where `gain` times as many run at once."""
    return max(_LEAST_HOP_S, hop_s) * max(1.0, _WORTH / max(1.0, gain))


class HopCosts:
    """What hops to workers elsewhere cost, a moving mean, first as known; and what steps of this run took."""

    def __init__(self, hop_s: float = 0.0) -> None:
        self.hop_s = hop_s
        self.is_measured = False
        self._steps: dict[tuple[str, Action], deque[float]] = {}

    def note_hop(self, seconds: float) -> None:
        """Take what the hop of a step cost."""
        seconds = max(0.0, seconds)
        self.hop_s += (seconds - self.hop_s) * (_NEWEST if self.hop_s else 1.0)
        self.is_measured = True

    def note_step(self, step: Step, seconds: float) -> None:
        """Take what a step took where it ran."""
        self._steps.setdefault((step.stage, step.action), deque(maxlen=_LAST)).append(seconds)

    def measured_s(self, step: Step) -> float | None:
        """What a step should take, by its history or by others of its stage in this run; None if unknown."""
        if step.wall_s is not None:
            return step.wall_s
        last = self._steps.get((step.stage, step.action))
        return None if last is None else sorted(last)[(len(last) - 1) // 2]


class StepTrials:
    """The steps of unknown duration that this machine tries, so that the rest of their stages go to the right
    place; `now` are monotonic seconds.
    """

    def __init__(self, tried: Collection[tuple[str, str]] = ()) -> None:
        self._tried = tried
        # By stage, the partitions that are being tried, and when.
        self._running: dict[str, dict[str, float]] = {}

    def __contains__(self, step: Step) -> bool:
        return (step.stage, step.partition) in self._tried

    def begin(self, step: Step, now: float) -> None:
        """Note that a step begins."""
        if step in self:
            self._running.setdefault(step.stage, {})[step.partition] = now

    def end(self, step: Step) -> None:
        """Note that a step ended, however it did."""
        self._running.get(step.stage, {}).pop(step.partition, None)

    def decides(self, step: Step, now: float) -> bool:
        """Whether a step should wait for those that are tried, which haven't taken long yet."""
        since = min(self._running.get(step.stage, {}).values(), default=None)
        return since is not None and now - since < _TRIAL_S


def first_unknown(steps: Iterable[Step], number: int) -> set[tuple[str, str]]:
    """The first steps of each stage of which many have to run without a history."""
    unknown = [step for step in steps if step.action is Action.RUN and step.wall_s is None]
    counts = Counter(step.stage for step in unknown)
    left = {stage: number for stage, count in counts.items() if count >= _MANY}
    found = set()
    for step in unknown:
        if left.get(step.stage):
            left[step.stage] -= 1
            found.add((step.stage, step.partition))
    return found
