"""Track the progress of a run by stage, and estimate how long the rest takes.

Nothing is measured here: callers pass the time of each event, in seconds of any clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.ledger.run import Attempt, Outcome
from tidemill.planning.placement import expected_s
from tidemill.planning.plan import Plan, Step

# What is assumed before anything was seen: for so long, one step after the other.
_BELIEF_S = 1.0
# A step that is overdue takes at least this share of its time longer.
_OVERDUE = 0.1
# No step is assumed to take less.
_LEAST_S = 0.001
# At most this share of a running step is shown as done.
_NEARLY = 0.95
_RAN = frozenset({Outcome.OK, Outcome.FAILED, Outcome.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """A running step, and for how many seconds it has run."""

    step: Step
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSeen:
    """The progress of a stage: `part` is the share that is done, `rate` the rows read a second.

    `outcomes` counts the finished steps by outcome, and the attempts that were RETRIED.
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
    """The progress of a run. `left_s` is None when unknown; with `more` it is a part of the time left."""

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
        """All running steps, the one that has run longest first."""
        return tuple(
            sorted((d for stage in self.stages for d in stage.at_work), key=lambda d: -d.for_s)
        )


class Standing:
    """Tracks the steps of a run, of which up to `slots` run at once while others wait."""

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
        """Note that a step runs, or waits for another to end; one that was put off starts again."""
        self._forget(step, now)
        self._waiting[step.id] = step
        self._fill(now)

    def ended(self, step: Step, attempt: Attempt | None, now: float) -> None:
        """Note how a step ended; without an attempt it was up to date."""
        self._forget(step, now)
        self._stages[step.stage].ended(step, attempt)
        self._fill(now)

    def seen(self, now: float) -> Seen:
        """Return the progress of the run at `now`."""
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
        """Estimate the seconds left, with as many steps at once as so far; a chain of steps bounds it."""
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
        """The average number of steps that ran at once; pauses between steps lower it."""
        worked = sum(stage.took_s for stage in self._stages.values())
        worked += sum(now - since for _, since in self._at_work.values())
        return (worked + _BELIEF_S) / (now - self._began + _BELIEF_S)


class _Stage:
    """The steps of one stage; unlikely steps don't count unless they run."""

    def __init__(self, steps: list[Step]) -> None:
        self.needs = {name for step in steps for name in step.reads}
        self.took_s = 0.0
        self._total = len(steps)
        self._done = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._history = any(step.wall_s is not None for step in steps)
        sure = [_expected_s(step) for step in steps if not step.unlikely]
        self.left = len(sure)
        self._left_s = sum(sure)
        # The expected seconds of steps that ran, and how many there were.
        self._expected_s = 0.0
        self._ran = 0
        self._rows = 0
        self._busy_s = 0.0
        self._since = 0.0
        self._at_work = 0

    @property
    def known(self) -> bool:
        """Whether there is any measure of what its steps take."""
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
        expected = _expected_s(step)
        if not step.unlikely:
            self.left -= 1
            self._left_s -= expected
        # Steps that had nothing to do say nothing about the speed of others.
        if attempt is not None and outcome in _RAN:
            self._ran += 1
            self._rows += attempt.rows_in
            self.took_s += attempt.wall_s
            self._expected_s += expected

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
        """The seconds that its steps should still take, one after the other."""
        sure = sum(_expected_s(one.step) for one in doing if not one.step.unlikely)
        return max(0.0, self._left_s - sure) * self._pace + sum(map(self.rest_s, doing))

    def rest_s(self, one: Doing) -> float:
        """The seconds that a running step should still take."""
        return max(_expected_s(one.step) * self._pace - one.for_s, _OVERDUE * one.for_s, _LEAST_S)

    def _part(self, one: Doing) -> float:
        return min(_NEARLY, one.for_s / (one.for_s + self.rest_s(one)))

    @property
    def _pace(self) -> float:
        """How much longer steps take than expected; past runs count as much as one step of this run."""
        if not self._ran:
            return 1.0
        one = self._expected_s / self._ran if self._history else 0.0
        return (self.took_s + one) / (self._expected_s + one)


def _expected_s(step: Step) -> float:
    return max(expected_s(step), _LEAST_S)
