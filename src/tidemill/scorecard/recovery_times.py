"""Follow what goes wrong in an environment from the first bad event until it is healthy again.

A stage recovers when none of its partitions fails any more and two runs in a row leave it sound; what counts
is the first of the two. Drift ends when a table isn't to be investigated any more, and what incidents are
about otherwise (stale data, objectives, failed deliveries, what people report) when their checks say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.event import (
    Attempted,
    Delivered,
    DriftAlarmed,
    DriftJudged,
    EnvironmentCreated,
    EnvironmentDropped,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
    Settled,
)
from tidemill.ledger.incident import IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.ledger.run import Attempt, Outcome
from tidemill.operations.problem import ProblemKind
from tidemill.operations.stage_failures import sound_stages
from tidemill.scorecard.change_times import BLAME_S

# Runs in a row that leave a stage sound end its failure.
SUCCESSES = 2
_SUCCEEDED = (Outcome.OK, Outcome.BOUND, Outcome.CURRENT)
# What is known from attempts, or from the verdicts on drift, also where nothing checks for incidents.
_OF_STAGES = (str(ProblemKind.FAILED_STAGE), str(ProblemKind.BROKEN_CONTRACT))
_OF_DRIFT = str(ProblemKind.DRIFT)
_OF_INCIDENTS = frozenset(
    str(kind)
    for kind in (
        ProblemKind.STALE_STAGE, ProblemKind.OBJECTIVE_BREACH, ProblemKind.FAILED_DELIVERY,
        ProblemKind.REPORTED,
    )
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Trouble:
    """Something that went wrong at `first` and was noticed at `detected`, if it was (Unix seconds).

    `healthy` is since when it seems well, and `over` says that this held. A failing stage has the partitions
    that fail, and the `successes` since it seems well, the last one in `run`. `incident` is the one about it.
    It was `caused` by a delivery if one changed the stage shortly before.
    """

    kind: str
    stage: str
    first: float
    detected: float | None = None
    healthy: float | None = None
    over: bool = False
    caused: bool = False
    incident: str = ""
    failing: set[str] = field(default_factory=set)
    successes: int = 0
    run: str = ""


@dataclass(slots=True, kw_only=True)
class RecoveryTimes:
    """What went wrong in an environment, and when it was healthy again.

    `failing` are the stages that fail, `drifting` the tables that drifted, `open` the other incidents by id;
    `ended` is over, and so is each of `closed`, which can be opened again. `runs` are the open ones, `last`
    is the one that began last, `began` when the first one did. `changed` is when a stage was changed or
    delivered last, `delivered` when any model was.
    """

    environment: str
    failing: dict[str, Trouble] = field(default_factory=dict)
    drifting: dict[str, Trouble] = field(default_factory=dict)
    open: dict[str, Trouble] = field(default_factory=dict)
    closed: dict[str, Trouble] = field(default_factory=dict)
    ended: list[Trouble] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    last: str = ""
    began: float | None = None
    changed: dict[str, float] = field(default_factory=dict)
    delivered: float | None = None

    def add(self, fact: RecordedEvent) -> None:
        """Add an event, in the order of the ledger; those of other environments and kinds change nothing."""
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None and getattr(fact.event, "environment", self.environment) == (
            self.environment
        ):
            handler(self, fact.event, fact.at)

    def prune(self, since: float) -> None:
        """Forget what ended before a time."""
        self.ended = [each for each in self.ended if _end_of(each) > since]
        self.closed = {id: each for id, each in self.closed.items() if _end_of(each) > since}

    def troubles(self) -> list[Trouble]:
        """All that is known, whether it is over or not."""
        places = (self.failing, self.drifting, self.open, self.closed)
        return [*self.ended, *(each for place in places for each in place.values())]

    def _end_environment(self, _: EnvironmentCreated | EnvironmentDropped, __: float) -> None:
        """Forget what fails in an environment of the same name."""
        self.failing, self.drifting, self.open = {}, {}, {}
        self.changed, self.delivered, self.began = {}, None, None

    def _start_run(self, event: RunStarted, at: float) -> None:
        self.runs.add(event.run)
        self.began = at if self.began is None else min(self.began, at)
        self.last = event.run

    def _end_run(self, event: RunEnded, at: float) -> None:
        if event.run not in self.runs:
            return  # of another environment
        self.runs.remove(event.run)
        if not self.failing:
            return
        for stage in sound_stages(event.receipt):
            if stage in self.failing:
                self._repair(stage, WHOLE, at)
                self._succeed(stage, event.run, at)

    def _attempt(self, event: Attempted, at: float) -> None:
        attempt = event.attempt
        if attempt.outcome is Outcome.FAILED:
            self._fail(attempt, at)
        elif attempt.stage in self.failing and attempt.outcome in _SUCCEEDED:
            self.failing[attempt.stage].failing.discard(attempt.partition)
            self._succeed(attempt.stage, event.run, at)

    def _fail(self, attempt: Attempt, at: float) -> None:
        """Note the failure of a partition, all its retries spent."""
        stage = attempt.stage
        trouble = self.failing.get(stage)
        if trouble is None:
            broken = attempt.exit_code == ContractError.exit_code
            kind = ProblemKind.BROKEN_CONTRACT if broken else ProblemKind.FAILED_STAGE
            trouble = self._begin(str(kind), stage, at)
            self.failing[stage] = trouble
        trouble.failing.add(attempt.partition)
        trouble.healthy, trouble.successes, trouble.run = None, 0, ""

    def _begin(self, kind: str, stage: str, first: float) -> Trouble:
        changed = self.changed.get(stage) if stage else self.delivered
        caused = changed is not None and 0 <= first - changed <= BLAME_S
        return Trouble(kind=kind, stage=stage, first=first, caused=caused)

    def _repair(self, stage: str, partition: str, at: float) -> None:
        """Note that a partition doesn't fail any more, without any success."""
        trouble = self.failing.get(stage)
        if trouble is not None:
            trouble.failing.discard(partition)
            if not trouble.failing and trouble.healthy is None:
                trouble.healthy = at

    def _succeed(self, stage: str, run: str, at: float) -> None:
        """Note a success of a stage of which no partition fails; runs count once."""
        trouble = self.failing[stage]
        if trouble.failing:
            return
        if trouble.healthy is None:
            trouble.healthy = at
        if trouble.successes == 0 or trouble.run != run:
            trouble.successes, trouble.run = trouble.successes + 1, run
        if trouble.successes >= SUCCESSES:
            trouble.over = True
            self.ended.append(trouble)
            del self.failing[stage]

    def _settle(self, event: Settled, at: float) -> None:
        if event.stage in self.failing:
            self.failing[event.stage].failing.clear()
            self._succeed(event.stage, self.last, at)

    def _remove(self, event: Removed, at: float) -> None:
        self._repair(event.stage, event.partition, at)

    def _alarm(self, event: DriftAlarmed, at: float) -> None:
        if event.stage not in self.drifting:
            self.drifting[event.stage] = self._begin(_OF_DRIFT, event.stage, at)

    def _judge(self, event: DriftJudged, at: float) -> None:
        if event.stage in self.drifting and not event.verdict.investigate:
            trouble = self.drifting.pop(event.stage)
            trouble.healthy, trouble.over = at, True
            self.ended.append(trouble)

    def _change(self, event: ChangesSeen, at: float) -> None:
        self.changed.update(dict.fromkeys((*event.stages, *event.delivers), at))

    def _deliver(self, event: Delivered, at: float) -> None:
        if not event.delivery.rollback:
            self.changed[event.delivery.name] = self.delivered = at

    def _open_incident(self, event: IncidentOpened, _: float) -> None:
        incident, cause = event.incident, event.incident.cause
        if cause.kind in _OF_INCIDENTS:
            # Data may be older than what computes them, which isn't to blame for that.
            first = incident.since if self.began is None else max(incident.since, self.began)
            trouble = self._begin(cause.kind, cause.stage, first)
            trouble.detected, trouble.incident = incident.detected, incident.id
            self.open[incident.id] = trouble
            return
        # The incident is how a failure was noticed that is known already.
        place = self.failing if cause.kind in _OF_STAGES else self.drifting
        known = place.get(cause.stage) if cause.kind in (*_OF_STAGES, _OF_DRIFT) else None
        if known is not None and known.detected is None:
            known.detected, known.incident = incident.detected, incident.id

    def _change_incident(self, event: IncidentChanged, _: float) -> None:
        if event.change is IncidentChange.REOPENED and event.incident in self.closed:
            trouble = self.closed.pop(event.incident)
            trouble.healthy, trouble.over = None, False
            self.open[event.incident] = trouble
        elif (known := self.open.get(event.incident)) is not None:
            if event.change is IncidentChange.RECOVERING:
                known.healthy = event.since
            elif event.change is IncidentChange.RELAPSED:
                known.healthy = None

    def _close_incident(self, event: IncidentClosed, _: float) -> None:
        trouble = self.open.pop(event.incident, None)
        if trouble is not None:
            trouble.healthy, trouble.over = event.recovered, True
            self.closed[event.incident] = trouble


def _end_of(trouble: Trouble) -> float:
    return trouble.first if trouble.healthy is None else trouble.healthy


_HANDLERS: Mapping[type, Callable[[RecoveryTimes, Any, float], None]] = {
    EnvironmentCreated: RecoveryTimes._end_environment,
    EnvironmentDropped: RecoveryTimes._end_environment,
    RunStarted: RecoveryTimes._start_run,
    RunEnded: RecoveryTimes._end_run,
    Attempted: RecoveryTimes._attempt,
    Removed: RecoveryTimes._remove,
    Settled: RecoveryTimes._settle,
    DriftAlarmed: RecoveryTimes._alarm,
    DriftJudged: RecoveryTimes._judge,
    ChangesSeen: RecoveryTimes._change,
    Delivered: RecoveryTimes._deliver,
    IncidentOpened: RecoveryTimes._open_incident,
    IncidentChanged: RecoveryTimes._change_incident,
    IncidentClosed: RecoveryTimes._close_incident,
}

# The kinds of events that times of recovery are derived from.
RECOVERY_KINDS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
