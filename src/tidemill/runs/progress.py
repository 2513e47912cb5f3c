"""Track the progress of a run by stage, and estimate how long the rest takes.

Nothing is measured here: callers pass the time of each event, in seconds of any clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.run import Attempt, Outcome
from tidemill.planning.placement import expected_seconds
from tidemill.planning.plan import Plan, Step

# What is assumed before anything was seen: for so long, one step after the other.
_BELIEF_S = 1.0
# A step that is overdue takes at least this share of its time longer.
_OVERDUE = 0.1
# No step is assumed to take less.
_LEAST_S = 0.001
# At most this share of a running step is shown as done.
_NEARLY = 0.95
_RAN = frozenset({Outcome.OK, Outcome.PRUNED, Outcome.GAVE_UP, Outcome.FAILED, Outcome.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """A running step, and for how many seconds it has run."""

    step: Step
    running_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProgress:
    """The progress of a stage: `part` is the share that is done, `rate` the rows read a second.

    `outcomes` counts the finished steps by outcome, and the attempts that were RETRIED.
    """

    name: str
    total: int
    completed: int = 0
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    part: float = 0.0
    rate: float = 0.0
    running: tuple[StepProgress, ...] = ()

    @property
    def failed(self) -> int:
        return self.outcomes.get(Outcome.FAILED, 0) + self.outcomes.get(Outcome.REFUSED, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """The progress of a run. `left_s` is None when unknown; with `more` it is a part of the time left."""

    elapsed_s: float
    stages: tuple[StageProgress, ...] = ()
    left_s: float | None = None
    is_partial: bool = False

    @property
    def completed(self) -> int:
        return sum(stage.completed for stage in self.stages)

    @property
    def total(self) -> int:
        return sum(stage.total for stage in self.stages)

    @property
    def failed(self) -> int:
        return sum(stage.failed for stage in self.stages)

    @property
    def running(self) -> tuple[StepProgress, ...]:
        """All running steps, the one that has run longest first."""
        return tuple(
            sorted((d for stage in self.stages for d in stage.running), key=lambda d: -d.running_s)
        )


class ProgressTracker:
    """Tracks the steps of a run, of which up to `slots` run at once while others wait."""

    def __init__(self, slots: int = 1) -> None:
        self._slots = slots
        self._began = 0.0
        self._stages: dict[str, _StageTracker] = {}
        self._at_work: dict[str, tuple[Step, float]] = {}
        self._waiting: OrderedDict[str, Step] = OrderedDict()

    def begin(self, plan: Plan, now: float) -> None:
        """The run begins with the steps of a plan."""
        self._began = now
        self._stages = {name: _StageTracker(steps) for name, steps in plan.by_stage().items()}
        self._at_work.clear()
        self._waiting.clear()

    def start_step(self, step: Step, now: float) -> None:
        """Note that a step runs, or waits for another to end; one that was put off starts again."""
        self._remove(step, now)
        self._waiting[step.id] = step
        self._fill(now)

    def end_step(self, step: Step, attempt: Attempt | None, now: float) -> None:
        """Note how a step ended; without an attempt it was up to date."""
        self._remove(step, now)
        self._stages[step.stage].end_step(step, attempt)
        self._fill(now)

    def snapshot(self, now: float) -> RunProgress:
        """Return the progress of the run at `now`."""
        left_s, more = self._left(now)
        return RunProgress(
            elapsed_s=now - self._began,
            stages=tuple(
                stage.snapshot(name, self._running(name, now), now)
                for name, stage in self._stages.items()
            ),
            left_s=left_s,
            is_partial=more,
        )

    def _remove(self, step: Step, now: float) -> None:
        self._waiting.pop(step.id, None)
        if self._at_work.pop(step.id, None) is not None:
            self._stages[step.stage].stop_step(now)

    def _fill(self, now: float) -> None:
        while self._waiting and len(self._at_work) < self._slots:
            name, step = self._waiting.popitem(last=False)
            self._at_work[name] = (step, now)
            self._stages[step.stage].start_step(now)

    def _running(self, name: str, now: float) -> tuple[StepProgress, ...]:
        return tuple(
            StepProgress(step=step, running_s=now - since)
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
            elif not stage.is_measured:
                chain[name], more = before, True
            else:
                doing = self._running(name, now)
                left, known = stage.left_s(doing), True
                total += left
                at_least = max((stage.rest_s(one) for one in doing), default=0.0)
                chain[name] = before + max(left / stage.left, at_least)
            longest = max(longest, chain[name])
        return (max(total / self._parallelism(now), longest) if known else None), more

    def _parallelism(self, now: float) -> float:
        """The average number of steps that ran at once; pauses between steps lower it."""
        worked = sum(stage.took_s for stage in self._stages.values())
        worked += sum(now - since for _, since in self._at_work.values())
        return (worked + _BELIEF_S) / (now - self._began + _BELIEF_S)


class _StageTracker:
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
    def is_measured(self) -> bool:
        """Whether there is any measure of what its steps take."""
        return self._history or self._ran > 0

    def start_step(self, now: float) -> None:
        if not self._at_work:
            self._since = now
        self._at_work += 1

    def stop_step(self, now: float) -> None:
        self._at_work -= 1
        if not self._at_work:
            self._busy_s += now - self._since

    def end_step(self, step: Step, attempt: Attempt | None) -> None:
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

    def snapshot(self, name: str, doing: tuple[StepProgress, ...], now: float) -> StageProgress:
        busy = self._busy_s + (now - self._since if self._at_work else 0.0)
        begun = sum(self._part(one) for one in doing) if self.is_measured else 0.0
        return StageProgress(
            name=name,
            total=self._total,
            completed=self._done,
            outcomes=dict(self._outcomes),
            part=(self._done + begun) / self._total,
            rate=self._rows / busy if busy > 0 else 0.0,
            running=doing,
        )

    def left_s(self, doing: tuple[StepProgress, ...]) -> float:
        """The seconds that its steps should still take, one after the other."""
        sure = sum(_expected_s(one.step) for one in doing if not one.step.unlikely)
        return max(0.0, self._left_s - sure) * self._pace + sum(map(self.rest_s, doing))

    def rest_s(self, one: StepProgress) -> float:
        """The seconds that a running step should still take."""
        return max(
            _expected_s(one.step) * self._pace - one.running_s, _OVERDUE * one.running_s, _LEAST_S
        )

    def _part(self, one: StepProgress) -> float:
        return min(_NEARLY, one.running_s / (one.running_s + self.rest_s(one)))

    @property
    def _pace(self) -> float:
        """How much longer steps take than expected; past runs count as much as one step of this run."""
        if not self._ran:
            return 1.0
        one = self._expected_s / self._ran if self._history else 0.0
        return (self.took_s + one) / (self._expected_s + one)


def _expected_s(step: Step) -> float:
    return max(expected_seconds(step), _LEAST_S)
