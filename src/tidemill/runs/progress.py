"""How far a run is: what became of its steps so far, by stage, and how long the rest should take.

Nothing is measured here: whoever is told of a step says when that was, in seconds of any clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.ledger.run import Attempt, Outcome
from tidemill.planning.placement import expected_s
from tidemill.planning.plan import Plan, Step

# What is believed of a run before anything of it was seen: for so long, one step after the other.
_BELIEF_S = 1.0
# A step that takes longer than it should takes at least so much longer still.
_OVERDUE = 0.1
# No step takes less, whatever the clock said.
_LEAST_S = 0.001
# The share of a step that is shown as done while it is at work, at most.
_NEARLY = 0.95
_RAN = frozenset({Outcome.OK, Outcome.FAILED, Outcome.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """A step that is at work, and since how many seconds."""

    step: Step
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeen:
    """How far the steps of a stage are. `part` is the share that is done, `rate` rows read a second.

    `outcomes` counts the steps that are done by how they ended, and RETRIED the tries that came to
    nothing.
    """

    name: str
    total: int
    done: int = 0
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    part: float = 0.0
    rate: float = 0.0
    at_work: tuple[Doing, ...] = ()

    @property
    def failed(self) -> int:
        return self.outcomes.get(Outcome.FAILED, 0) + self.outcomes.get(Outcome.REFUSED, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far a run is. `left_s` is None when nobody knows, and with `more` it is what is known of it."""

    elapsed_s: float
    stages: tuple[StageSeen, ...] = ()
    left_s: float | None = None
    more: bool = False

    @property
    def done(self) -> int:
        return sum(stage.done for stage in self.stages)

    @property
    def total(self) -> int:
        return sum(stage.total for stage in self.stages)

    @property
    def failed(self) -> int:
        return sum(stage.failed for stage in self.stages)

    @property
    def at_work(self) -> tuple[Doing, ...]:
        """All steps that are at work, the one that is so for longest first."""
        return tuple(
            sorted((d for stage in self.stages for d in stage.at_work), key=lambda d: -d.for_s)
        )


class Standing:
    """Keeps count of a run's steps, of which up to `slots` are at work at once; the others wait for it."""

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        self._began = 0.0
        self._stages: dict[str, _Stage] = {}
        self._at_work: dict[str, tuple[Step, float]] = {}
        self._waiting: OrderedDict[str, Step] = OrderedDict()

    def begin(self, plan: Plan, now: float) -> None:
        """The run begins with the steps of a plan."""
        self._began = now
        self._stages = {name: _Stage(steps) for name, steps in plan.by_stage().items()}

    def started(self, step: Step, now: float) -> None:
        """A step is at work, or waits until another one is done; one that was put off is so anew."""
        self._forget(step, now)
        self._waiting[step.id] = step
        self._fill(now)

    def ended(self, step: Step, attempt: Attempt | None, now: float) -> None:
        """What became of a step; no attempt: it turned out current."""
        self._forget(step, now)
        self._stages[step.stage].ended(step, attempt)
        self._fill(now)

    def seen(self, now: float) -> Seen:
        """How far the run is now."""
        left_s, more = self._left(now)
        return Seen(
            elapsed_s=now - self._began,
            stages=tuple(
                stage.seen(name, self._doing(name, now), now)
                for name, stage in self._stages.items()
            ),
            left_s=left_s,
            more=more,
        )

    def _forget(self, step: Step, now: float) -> None:
        self._waiting.pop(step.id, None)
        if self._at_work.pop(step.id, None) is not None:
            self._stages[step.stage].leave(now)

    def _fill(self, now: float) -> None:
        while self._waiting and len(self._at_work) < self._slots:
            name, step = self._waiting.popitem(last=False)
            self._at_work[name] = (step, now)
            self._stages[step.stage].enter(now)

    def _doing(self, name: str, now: float) -> tuple[Doing, ...]:
        return tuple(
            Doing(step=step, for_s=now - since)
            for step, since in self._at_work.values()
            if step.stage == name
        )

    def _left(self, now: float) -> tuple[float | None, bool]:
        """Seconds until all is done: as much at once as so far, but no chain of steps is cut short."""
        total = longest = 0.0
        known = more = False
        chain: dict[str, float] = {}
        for name, stage in self._stages.items():
            before = max((chain.get(need, 0.0) for need in stage.needs), default=0.0)
            if not stage.left:
                chain[name] = before
            elif not stage.known:
                chain[name], more = before, True
            else:
                doing = self._doing(name, now)
                left, known = stage.left_s(doing), True
                total += left
                at_least = max((stage.rest_s(one) for one in doing), default=0.0)
                chain[name] = before + max(left / stage.left, at_least)
            longest = max(longest, chain[name])
        return (max(total / self._side_by_side(now), longest) if known else None), more

    def _side_by_side(self, now: float) -> float:
        """How many steps were at work at once, on average; what is between steps counts against it."""
        worked = sum(stage.took_s for stage in self._stages.values())
        worked += sum(now - since for _, since in self._at_work.values())
        return (worked + _BELIEF_S) / (now - self._began + _BELIEF_S)


class _Stage:
    """The steps of one stage. A step that is unlikely counts for nothing unless it turns out to run."""

    def __init__(self, steps: list[Step]) -> None:
        self.needs = {name for step in steps for name in step.reads}
        self.took_s = 0.0
        self._total = len(steps)
        self._done = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._history = any(step.wall_s is not None for step in steps)
        sure = [_should_s(step) for step in steps if not step.unlikely]
        self.left = len(sure)
        self._left_s = sum(sure)
        # What steps took that ran, what they should have taken, and how many they were.
        self._should_s = 0.0
        self._ran = 0
        self._rows = 0
        self._busy_s = 0.0
        self._since = 0.0
        self._at_work = 0

    @property
    def known(self) -> bool:
        """Whether anything is known of what its steps take."""
        return self._history or self._ran > 0

    def enter(self, now: float) -> None:
        if not self._at_work:
            self._since = now
        self._at_work += 1

    def leave(self, now: float) -> None:
        self._at_work -= 1
        if not self._at_work:
            self._busy_s += now - self._since

    def ended(self, step: Step, attempt: Attempt | None) -> None:
        outcome = Outcome.CURRENT if attempt is None else attempt.outcome
        self._outcomes[outcome] += 1
        if outcome is Outcome.RETRIED:
            return
        self._done += 1
        should = _should_s(step)
        if not step.unlikely:
            self.left -= 1
            self._left_s -= should
        # Steps that had nothing to do don't tell how fast the others are.
        if attempt is not None and outcome in _RAN:
            self._ran += 1
            self._rows += attempt.rows_in
            self.took_s += attempt.wall_s
            self._should_s += should

    def seen(self, name: str, doing: tuple[Doing, ...], now: float) -> StageSeen:
        busy = self._busy_s + (now - self._since if self._at_work else 0.0)
        begun = sum(self._part(one) for one in doing) if self.known else 0.0
        return StageSeen(
            name=name,
            total=self._total,
            done=self._done,
            outcomes=dict(self._outcomes),
            part=(self._done + begun) / self._total,
            rate=self._rows / busy if busy > 0 else 0.0,
            at_work=doing,
        )

    def left_s(self, doing: tuple[Doing, ...]) -> float:
        """What its steps should still take, one after the other."""
        sure = sum(_should_s(one.step) for one in doing if not one.step.unlikely)
        return max(0.0, self._left_s - sure) * self._pace + sum(map(self.rest_s, doing))

    def rest_s(self, one: Doing) -> float:
        """What a step that is at work should still take."""
        return max(_should_s(one.step) * self._pace - one.for_s, _OVERDUE * one.for_s, _LEAST_S)

    def _part(self, one: Doing) -> float:
        return min(_NEARLY, one.for_s / (one.for_s + self.rest_s(one)))

    @property
    def _pace(self) -> float:
        """How much longer steps take than they should; past runs count as much as one step of this one."""
        if not self._ran:
            return 1.0
        one = self._should_s / self._ran if self._history else 0.0
        return (self.took_s + one) / (self._should_s + one)


def _should_s(step: Step) -> float:
    return max(expected_s(step), _LEAST_S)
