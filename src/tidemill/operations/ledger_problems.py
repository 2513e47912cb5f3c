"""Find problems in a ledger beside those of metrics: drift, lost runs, stuck deliveries, overdue reviews."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.costs.budget import BudgetStatus
from tidemill.governance.review_state import ReviewState
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    Attempted,
    Delivered,
    DriftAlarmed,
    DriftJudged,
    RecipeChanged,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
    Settled,
)
from tidemill.ledger.off_peak import DeferredWork, describe_late
from tidemill.ledger.run import Attempt, Outcome, Status
from tidemill.operations.incidents import RecoveryFacts, elapsed
from tidemill.operations.problem import (
    Problem,
    ProblemKind,
    ProblemSeverity,
    problem_key,
)
from tidemill.operations.stage_failures import sound_stages
from tidemill.workflow.environment import environment_option

# What `StageActivity` reads.
ACTIVITY_EVENTS = tuple(
    kind.__name__
    for kind in (
        RunStarted, RunEnded, Attempted, Removed, Settled, RecipeChanged, Delivered, DriftAlarmed,
        DriftJudged,
    )
)  # fmt: skip
_SUCCEEDED = (Outcome.OK, Outcome.BOUND, Outcome.CURRENT)
# More successes in a row tell nothing more.
_MOST_SUCCESSES = 4


@dataclass(slots=True)
class StageActivity:
    """What the events of an environment tell about its stages and runs, in the order of the ledger."""

    environment: str
    failing: dict[str, set[str]] = field(default_factory=dict)
    successes: dict[str, tuple[float, ...]] = field(default_factory=dict)
    changed: dict[str, float] = field(default_factory=dict)
    rolled_back: dict[str, float] = field(default_factory=dict)
    drift: dict[str, tuple[float, str]] = field(default_factory=dict)
    lost: tuple[str, float] | None = None
    _runs: dict[str, float] = field(default_factory=dict)
    _last_runs: dict[str, str] = field(default_factory=dict)

    @property
    def facts(self) -> RecoveryFacts:
        """What shows how a stage recovered."""
        return RecoveryFacts(
            successes=self.successes, changed=self.changed, rolled_back=self.rolled_back
        )

    def has_begun(self, run: str) -> bool:
        """Whether a run is known to work."""
        return run in self._runs

    def apply(self, fact: RecordedEvent) -> None:
        """Note an event; those of other environments tell nothing."""
        event = fact.event
        if isinstance(event, RunEnded):
            self._end_run(event, fact.at)
        elif getattr(event, "environment", "") != self.environment:
            return
        elif isinstance(event, RunStarted):
            self._runs[event.run] = fact.at
        elif isinstance(event, Attempted):
            self._attempt(event.run, event.attempt, fact.at)
        elif isinstance(event, Removed):
            self._repair(event.stage, event.partition)
        elif isinstance(event, Settled):
            self._settle(event.stage, fact.at)
        else:
            self._note(fact)

    def _end_run(self, event: RunEnded, at: float) -> None:
        began = self._runs.pop(event.run, None)
        if began is None:
            return
        for stage in sound_stages(event.receipt):
            if stage in self.failing:
                self._repair(stage, WHOLE)
                if stage not in self.failing:
                    self.successes[stage] = (at,)
        if event.status is Status.LOST:
            self.lost = self.lost or (event.run, began)
        elif event.status is Status.OK:
            self.lost = None

    def _settle(self, stage: str, at: float) -> None:
        """Note that all partitions of a stage are up to date."""
        if self.failing.pop(stage, None) is not None:
            self.successes[stage] = (at,)

    def _attempt(self, run: str, attempt: Attempt, at: float) -> None:
        stage = attempt.stage
        if attempt.outcome is Outcome.FAILED:
            self.failing.setdefault(stage, set()).add(attempt.partition)
            self.successes[stage] = ()
            self._last_runs.pop(stage, None)
        elif attempt.outcome in _SUCCEEDED:
            self._repair(stage, attempt.partition)
            if stage not in self.failing and self._last_runs.get(stage) != run:
                self._last_runs[stage] = run
                self.successes[stage] = (*self.successes.get(stage, ()), at)[-_MOST_SUCCESSES:]

    def _repair(self, stage: str, partition: str) -> None:
        own = self.failing.get(stage)
        if own is not None:
            own.discard(partition)
            if not own:
                del self.failing[stage]

    def _note(self, fact: RecordedEvent) -> None:
        event = fact.event
        if isinstance(event, RecipeChanged):
            self.changed[event.stage] = fact.at
        elif isinstance(event, Delivered) and event.delivery.rollback:
            self.rolled_back[event.delivery.name] = fact.at
        elif isinstance(event, DriftAlarmed):
            since = self.drift.get(event.stage, (fact.at, ""))[0]
            self.drift[event.stage] = since, str(event.alarm)
        elif isinstance(event, DriftJudged) and not event.verdict.investigate:
            self.drift.pop(event.stage, None)


def activity_problems(activity: StageActivity) -> Iterator[Problem]:
    """The stages that drifted, and the run whose process died."""
    here = activity.environment
    place = environment_option(here)
    for stage, (since, alarm) in activity.drift.items():
        yield Problem(
            kind=ProblemKind.DRIFT,
            key=problem_key(ProblemKind.DRIFT, here, stage),
            since=since,
            severity=ProblemSeverity.TICKET,
            title=f"{stage} drifted",
            stage=stage,
            environment=here,
            evidence={"columns": alarm},
            command=f"tidemill drift {stage}{place}",
        )
    if activity.lost is not None:
        yield lost_run_problem(*activity.lost, here)


def lost_run_problem(run: str, since: float, environment: str) -> Problem:
    """The run whose process died."""
    return Problem(
        kind=ProblemKind.LOST_RUN,
        key=problem_key(ProblemKind.LOST_RUN, environment),
        since=since,
        severity=ProblemSeverity.TICKET,
        title=f"the process of run {run} died",
        environment=environment,
        evidence={"run": run},
        command=f"tidemill runs show {run}{environment_option(environment)}",
    )


def delivery_problems(
    effects: Iterable[Effect], environment: str, stuck_s: float, now: float
) -> Iterator[Problem]:
    """The stages whose deliveries have been waiting for longer than `stuck_s`."""
    oldest: dict[str, Effect] = {}
    for effect in effects:
        if effect.at and elapsed(now, effect.at) > stuck_s:
            first = oldest.setdefault(effect.stage, effect)
            oldest[effect.stage] = min(first, effect, key=lambda each: each.at)
    for stage, effect in oldest.items():
        yield Problem(
            kind=ProblemKind.FAILED_DELIVERY,
            key=problem_key(ProblemKind.FAILED_DELIVERY, environment, stage),
            since=effect.at,
            severity=ProblemSeverity.PAGE,
            title=f"{stage} wasn't delivered",
            stage=stage,
            environment=environment,
            evidence={"to": effect.target, "partition": effect.partition},
            command=f"tidemill run {stage}{environment_option(environment)}",
        )


def review_problems(
    reviews: Iterable[ReviewState], environment: str, now: float
) -> Iterator[Problem]:
    """The reviews that nobody decided in time."""
    for state in reviews:
        review = state.review
        if not state.is_open or not (state.extensions or state.has_expired(now)):
            continue
        yield Problem(
            kind=ProblemKind.OVERDUE_REVIEW,
            key=problem_key(ProblemKind.OVERDUE_REVIEW, environment, review.id),
            since=review.opened + (review.within or 0.0),
            severity=ProblemSeverity.TICKET,
            title=f"the review of {review.label} is overdue",
            stage=review.name,
            environment=environment,
            evidence={"asked": ", ".join(state.asked)},
            command=f"tidemill review show {review.id}{environment_option(environment)}",
        )


def disk_problems(free: int, least: int, environment: str, now: float) -> Iterator[Problem]:
    """The disk of the home, if fewer bytes than `least` are free."""
    if free < least:
        yield Problem(
            kind=ProblemKind.DISK_SPACE,
            key=problem_key(ProblemKind.DISK_SPACE, environment),
            since=now,
            severity=ProblemSeverity.PAGE,
            title="the disk is nearly full",
            environment=environment,
            evidence={"free": f"{free / 1e6:,.0f} MB"},
            command="tidemill sweep --dry-run",
        )


def budget_problems(
    statuses: Iterable[BudgetStatus], environment: str, now: float
) -> Iterator[Problem]:
    """The budgets of which so much was spent that people should know."""
    for status in statuses:
        if not status.is_warning:
            continue
        setting = status.budget.setting
        held = ": deferrable work waits" if status.is_used_up else ""
        yield Problem(
            kind=ProblemKind.BUDGET,
            key=problem_key(ProblemKind.BUDGET, environment, setting),
            since=now,
            severity=ProblemSeverity.TICKET,
            title=f"the budget of {status.budget.about} is {status.share:.0%} spent{held}",
            environment=environment,
            evidence={
                "setting": setting,
                "spent": status.show(status.spent),
                "budget": status.limit,
            },
            command=f"tidemill plan{environment_option(environment)}",
        )


def late_work_problems(
    works: Iterable[DeferredWork], environment: str, now: float
) -> Iterator[Problem]:
    """The work that waited for a cheaper time, and isn't done by its deadline."""
    for work in works:
        if now <= work.deadline:
            continue
        yield Problem(
            kind=ProblemKind.LATE_WORK,
            key=problem_key(ProblemKind.LATE_WORK, environment, *work.key),
            since=work.deadline,
            severity=ProblemSeverity.TICKET,
            title=f"{work.name} waited until it was late",
            stage=work.stage,
            environment=environment,
            evidence={"why": describe_late(work, now)},
            command=f"tidemill plan{environment_option(environment)}",
        )


def supervisor_problems(killed: float | None, environment: str) -> Iterator[Problem]:
    """The supervisor, if it was killed or stopped, and last heard of at a time."""
    if killed is not None:
        yield Problem(
            kind=ProblemKind.SUPERVISOR_DOWN,
            key=problem_key(ProblemKind.SUPERVISOR_DOWN, environment),
            since=killed,
            severity=ProblemSeverity.PAGE,
            title="the supervisor was killed, or stopped showing signs of life",
            environment=environment,
            command="tidemill status",
        )
