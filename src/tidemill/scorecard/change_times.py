"""Follow changes to a workflow from their commits until they have all traffic, event by event.

A delivery contains a change if what it delivers was computed after a run of the same environment executed
the change, and is changed by it or downstream of what is. Changes of branches wait, too, until they are in
the environment; what no environment runs any more is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from math import inf
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.commit import Commit
from tidemill.ledger.delivery import EXPIRY, GATES
from tidemill.ledger.event import (
    Computed,
    Decided,
    Delivered,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Published,
    RecordedEvent,
    RolloutStepped,
    RunEnded,
    RunStarted,
    Settled,
)
from tidemill.ledger.incident_events import IncidentOpened
from tidemill.ledger.rollout import RolloutAction
from tidemill.operations.problem import ProblemKind
from tidemill.scorecard.change_record import (
    DeliveredChange,
    DeliveryFailure,
    Deployment,
    OpenChange,
    TableDelivery,
)
from tidemill.workflow.environment import PRODUCTION

_DAY_S = 86_400.0
# How long after a delivery something that goes wrong is put down to it.
BLAME_S = 3 * _DAY_S
# Incidents that a delivery can cause; the others are about the installation, or people.
CAUSED_KINDS = frozenset(
    str(kind)
    for kind in (
        ProblemKind.FAILED_STAGE, ProblemKind.BROKEN_CONTRACT, ProblemKind.STALE_STAGE,
        ProblemKind.OBJECTIVE_BREACH, ProblemKind.DRIFT, ProblemKind.FAILED_DELIVERY,
        ProblemKind.REPORTED,
    )
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class MadeVersion:
    """A version of a model: the event by which it was computed, when, where, and when its run started."""

    seq: int
    at: float
    environment: str
    triggered: float


@dataclass(slots=True, kw_only=True)
class ChangeTimes:
    """The changes of a workflow, as an environment delivers them; times are Unix seconds.

    `changes` are those that wait, and those whose delivery may still begin a rollout, by commit; `delivered`
    are the others, and `settled` says since when they are live. `deployments` are by number, `latest` are
    the last ones of models. `waiting` maps stages to changes that they may not have been computed with yet.
    `runs` are the open ones, with their environments and starts, `made` the versions of models, `approved`
    when they were approved last. `touched` has by environment the last event of a change of what delivers.
    `moves` are the moves to another commit: when, whether git failed, and how many commits were left out.
    """

    environment: str
    changes: dict[str, OpenChange] = field(default_factory=dict)
    delivered: list[DeliveredChange] = field(default_factory=list)
    settled: dict[str, float] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)
    latest: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, list[str]] = field(default_factory=dict)
    environments: set[str] = field(default_factory=set)
    runs: dict[str, tuple[str, float]] = field(default_factory=dict)
    made: dict[str, MadeVersion] = field(default_factory=dict)
    approved: dict[str, float] = field(default_factory=dict)
    queued: dict[str, TableDelivery] = field(default_factory=dict)
    touched: dict[str, dict[str, int]] = field(default_factory=dict)
    moves: list[tuple[float, bool, int]] = field(default_factory=list)

    def add(self, fact: RecordedEvent) -> None:
        """Add an event, in the order of the ledger; those of other kinds change nothing."""
        handler = _HANDLERS.get(type(fact.event))
        if handler is not None:
            handler(self, fact.event, fact)

    def prune(self, since: float) -> None:
        """Forget what was delivered, and what was computed, before a time; what waits is kept."""
        self.delivered = [each for each in self.delivered if each.live > since]
        self.moves = [move for move in self.moves if move[0] > since]
        self.settled = {id: live for id, live in self.settled.items() if live > since}
        kept = {*self.latest.values(), *(change.delivery for change in self.changes.values())}
        self.deployments = {
            number: each
            for number, each in self.deployments.items()
            if each.at > since or number in kept
        }
        self.made = {id: each for id, each in self.made.items() if each.at > since}
        self.approved = {id: at for id, at in self.approved.items() if at > since}
        self.queued = {key: each for key, each in self.queued.items() if each.at > since}
        self.waiting = {
            stage: known
            for stage, ids in self.waiting.items()
            if (known := [id for id in ids if id in self.changes])
        }

    def live_at(self, change: OpenChange) -> float | None:
        """Since when a change has all traffic; None while it hasn't."""
        found = self.deployments.get(change.delivery)
        return None if found is None else found.live

    def _settle(self, delivery: Deployment) -> None:
        """Note that what a delivery contains is live for good."""
        delivery.tentative = False
        for change in self._changes_of(delivery):
            self._settle_change(change, delivery)

    def _settle_change(self, change: OpenChange, delivery: Deployment) -> None:
        assert delivery.live is not None
        self.delivered.append(delivered_change(change, delivery, delivery.live))
        self.settled[change.id] = delivery.live
        del self.changes[change.id]

    def _changes_of(self, delivery: Deployment) -> list[OpenChange]:
        return [each for each in self.changes.values() if each.delivery == delivery.number]

    def _see_changes(self, event: ChangesSeen, fact: RecordedEvent) -> None:
        place = event.environment
        if place == self.environment:
            self.moves.append((fact.at, bool(event.problem), event.omitted))
        if place not in self.environments:
            self._inherit(place)
        for id in event.gone:
            self._leave(id, place)
        if not event.stages:
            return
        for commit in event.commits:
            if commit.id not in self.settled:
                self._see_commit(commit, event, fact)
        if event.commits:
            touched = self.touched.setdefault(place, {})
            touched.update(dict.fromkeys(event.delivers, fact.seq))

    def _inherit(self, environment: str) -> None:
        """Begin an environment with the changes that production runs: until now it ran the same commits."""
        self.environments.add(environment)
        for change in self.changes.values():
            if PRODUCTION in change.seen and environment not in change.seen:
                change.seen[environment] = change.seen[PRODUCTION]
                if environment == self.environment:
                    self._watch(change)

    def _see_commit(self, commit: Commit, event: ChangesSeen, fact: RecordedEvent) -> None:
        known = self.changes.get(commit.id)
        change = known or OpenChange(
            id=commit.id,
            committed=commit.at,
            planned=fact.at,
            stages=event.stages,
            delivers=event.delivers,
        )
        self.changes[commit.id] = change
        change.seen.setdefault(event.environment, fact.seq)
        if event.environment == self.environment:
            # What else its range changes here may be other than in a branch.
            change.stages, change.delivers = event.stages, event.delivers
            self._watch(change)

    def _watch(self, change: OpenChange) -> None:
        change.missing = set() if change.delivers else set(change.stages)
        for stage in change.delivers or change.stages:
            self.waiting.setdefault(stage, []).append(change.id)

    def _leave(self, id: str, environment: str) -> None:
        """Note that an environment doesn't run a change any more; forget it if none does."""
        change = self.changes.get(id)
        if change is None:
            return
        change.seen.pop(environment, None)
        if change.seen:
            return
        delivery = self.deployments.get(change.delivery)
        if delivery is not None and delivery.live is not None:
            self._settle_change(change, delivery)
        else:
            del self.changes[id]

    def _end_environment(
        self, event: EnvironmentCreated | EnvironmentDropped, _: RecordedEvent
    ) -> None:
        self.environments.discard(event.environment)
        self.touched.pop(event.environment, None)
        for id in [*self.changes]:
            self._leave(id, event.environment)

    def _start_run(self, event: RunStarted, fact: RecordedEvent) -> None:
        self.runs[event.run] = event.environment, fact.at

    def _end_run(self, event: RunEnded, _: RecordedEvent) -> None:
        self.runs.pop(event.run, None)

    def _compute(self, event: Computed, fact: RecordedEvent) -> None:
        environment, _ = self.runs.get(event.binding.run, ("", 0.0))
        self._make(event, environment, fact)

    def _publish(self, event: Published, fact: RecordedEvent) -> None:
        self._make(event, event.environment, fact)
        if event.environment == self.environment and event.stage in self.waiting:
            self._note_computed(event.stage, fact)

    def _make(self, event: Computed | Published, environment: str, fact: RecordedEvent) -> None:
        """Note a version of a model that is computed for the first time."""
        artifact = event.binding.product.artifact
        if artifact is None or artifact.id in self.made:
            return
        _, began = self.runs.get(event.binding.run, ("", fact.at))
        made = MadeVersion(
            seq=fact.seq, at=fact.at, environment=environment, triggered=min(began, fact.at)
        )
        self.made[artifact.id] = made
        for change in self._contained(event.stage, environment, fact.seq):
            change.computed.setdefault(event.stage, fact.at)

    def _note_computed(self, stage: str, fact: RecordedEvent) -> None:
        """Note that a stage is published with the changes that wait for it."""
        for id in self.waiting.pop(stage):
            change = self.changes.get(id)
            if change is not None and self.environment in change.seen:
                change.computed.setdefault(stage, fact.at)
                self._publish_change(change, stage, fact)

    def _settle_stage(self, event: Settled, fact: RecordedEvent) -> None:
        """Note that a stage is up to date, though none of its partitions may have come out otherwise."""
        if event.environment == self.environment:
            for change in [*self.changes.values()]:
                self._publish_change(change, event.stage, fact)

    def _publish_change(self, change: OpenChange, stage: str, fact: RecordedEvent) -> None:
        """Note that a stage is published with a change, which is live then if nothing delivers it."""
        if stage not in change.missing:
            return
        change.missing.remove(stage)
        if not change.missing:
            self._deliver_changes([change], fact.seq, "", (fact.at, fact.at, fact.at))

    def _contained(self, item: str, environment: str, seq: int) -> Iterator[OpenChange]:
        """The changes that something has which an environment computed at an event, and that wait for it."""
        runs_same = environment and environment not in self.environments
        place = PRODUCTION if runs_same else environment
        for change in [*self.changes.values()]:
            if item in change.delivers and change.seen.get(place, inf) < seq:
                delivery = self.deployments.get(change.delivery)
                if (
                    delivery is None
                    or delivery.live is None
                    or (delivery.tentative and change.table is None)
                ):
                    yield change

    def _deliver_changes(
        self, changes: list[OpenChange], number: int, item: str, times: tuple[float, float, float]
    ) -> None:
        """Note that a table goes live with some changes, or that the stages which they change do.

        The times are those of the candidate, the approval, and the delivery by event `number`.
        """
        candidate, approved, live = times
        delivery = self.deployments.setdefault(
            number,
            Deployment(
                number=number, item=item, at=live, stages={item} - {""}, candidate=candidate,
                approved=approved, live=live,
            ),
        )  # fmt: skip
        for change in changes:
            change.delivery = number
            delivery.stages |= {*change.stages, *change.delivers}
        self._settle(delivery)

    def _decide(self, event: Decided, fact: RecordedEvent) -> None:
        if event.environment != self.environment:
            return
        decision = event.decision
        if decision.approved:
            self.approved[decision.artifact] = fact.at
        elif decision.actor not in (GATES, EXPIRY):
            self._fail(decision.artifact, DeliveryFailure.WITHDRAWN, fact.at)

    def _deliver(self, event: Delivered, fact: RecordedEvent) -> None:
        delivery = event.delivery
        if event.environment != self.environment:
            return
        name, version = delivery.name, delivery.artifact.id
        before = self.deployments.get(self.latest.get(name, 0))
        if before is not None and before.live is None:
            self._take_back(before)
        elif before is not None:
            self._settle(before)
        if delivery.rollback:
            self._fail(delivery.replaced, DeliveryFailure.ROLLED_BACK, fact.at)
            return
        made = self.made.get(version) or MadeVersion(
            seq=0, at=fact.at, environment="", triggered=fact.at
        )
        touched = self.touched.get(made.environment, {}).get(name, 0)
        new = Deployment(
            number=fact.seq,
            item=name,
            at=fact.at,
            stages={name},
            version=version,
            made=made.seq,
            triggered=made.triggered,
            candidate=made.at,
            approved=self.approved.get(version, fact.at),
            live=fact.at,
            tentative=True,
            automatic=touched <= (before.made if before is not None else 0),
        )
        for change in self._contained(name, made.environment, made.seq):
            if self.live_at(change) is not None:
                continue
            change.delivery = new.number
            new.stages |= {*change.stages, *change.delivers}
        self.deployments[new.number] = new
        self.latest[name] = new.number

    def _step_rollout(self, event: RolloutStepped, fact: RecordedEvent) -> None:
        step = event.step
        delivery = self.deployments.get(self.latest.get(step.model, 0))
        if event.environment != self.environment or delivery is None:
            return
        if step.action is RolloutAction.REPLACED or delivery.version != step.candidate:
            return
        if step.action is RolloutAction.COMPLETED:
            if delivery.tentative:
                self._begin_rollout(delivery)
            if delivery.live is None:
                delivery.live = fact.at
            self._settle(delivery)
        elif step.action is RolloutAction.ROLLED_BACK:
            self._fail(delivery.version, DeliveryFailure.ROLLED_BACK, fact.at)
            self._take_back(delivery)
        elif step.action is RolloutAction.STARTED and delivery.tentative:
            self._begin_rollout(delivery)

    def _begin_rollout(self, delivery: Deployment) -> None:
        """Note that a delivery hasn't all traffic yet; a table that was delivered since has."""
        delivery.tentative, delivery.live = False, None
        for change in self._changes_of(delivery):
            if change.table is not None:
                self._deliver_with(change.table, [change])

    def _take_back(self, delivery: Deployment) -> None:
        """Note that a delivery won't have all traffic, unless it has."""
        if delivery.tentative:
            self._begin_rollout(delivery)
        if delivery.live is None:
            for change in self._changes_of(delivery):
                change.delivery = 0

    def _queue_table(self, event: EffectQueued, fact: RecordedEvent) -> None:
        effect = event.effect
        if event.environment != self.environment or effect.action != "write":
            return
        if any(self._contained(effect.stage, self.environment, fact.seq)):
            self.queued[effect.key] = TableDelivery(stage=effect.stage, seq=fact.seq, at=fact.at)

    def _deliver_table(self, event: EffectDone, fact: RecordedEvent) -> None:
        table = self.queued.pop(event.key, None)
        if table is None:
            return
        table.done, table.done_at = fact.seq, fact.at
        waiting = []
        for change in self._contained(table.stage, self.environment, table.seq):
            if self.live_at(change) is None:
                waiting.append(change)
            else:
                change.table = change.table or table
        if waiting:
            self._deliver_with(table, waiting)

    def _deliver_with(self, table: TableDelivery, changes: list[OpenChange]) -> None:
        times = table.at, table.at, table.done_at
        self._deliver_changes(changes, table.done, table.stage, times)

    def _open_incident(self, event: IncidentOpened, _: RecordedEvent) -> None:
        cause, since = event.incident.cause, event.incident.since
        if event.environment != self.environment or cause.kind not in CAUSED_KINDS:
            return
        is_endpoint = cause.kind == ProblemKind.OBJECTIVE_BREACH and not cause.stage
        for delivery in self._newest_first():
            if not 0 <= since - delivery.at <= BLAME_S:
                continue
            if cause.stage in delivery.stages or (is_endpoint and delivery.version):
                delivery.failure = delivery.failure or DeliveryFailure.INCIDENT
                return

    def _newest_first(self) -> list[Deployment]:
        return sorted(self.deployments.values(), key=lambda each: -each.number)

    def _fail(self, version: str, how: DeliveryFailure, at: float) -> None:
        """Note that the last delivery of a version failed, unless it held for long before."""
        for delivery in self._newest_first():
            if version and delivery.version == version:
                if at - delivery.at <= BLAME_S or delivery.live is None:
                    delivery.failure = delivery.failure or how
                return


def delivered_change(change: OpenChange, delivery: Deployment, live: float) -> DeliveredChange:
    """A change as it went live with a delivery.

    A clock that was set must not make a step end before it began.
    """
    candidate = delivery.candidate
    if not delivery.version:
        candidate = min([*change.computed.values(), candidate])
    approved = min(delivery.approved, live)
    candidate = min(candidate, approved)
    planned = min(change.planned, candidate)
    return DeliveredChange(
        id=change.id,
        committed=min(change.committed, planned),
        planned=planned,
        candidate=candidate,
        approved=approved,
        live=live,
        stages=change.stages,
        item=delivery.item,
        version=delivery.version,
    )


_HANDLERS: Mapping[type, Callable[[ChangeTimes, Any, RecordedEvent], None]] = {
    ChangesSeen: ChangeTimes._see_changes,
    EnvironmentCreated: ChangeTimes._end_environment,
    EnvironmentDropped: ChangeTimes._end_environment,
    RunStarted: ChangeTimes._start_run,
    RunEnded: ChangeTimes._end_run,
    Computed: ChangeTimes._compute,
    Published: ChangeTimes._publish,
    Settled: ChangeTimes._settle_stage,
    Decided: ChangeTimes._decide,
    Delivered: ChangeTimes._deliver,
    RolloutStepped: ChangeTimes._step_rollout,
    EffectQueued: ChangeTimes._queue_table,
    EffectDone: ChangeTimes._deliver_table,
    IncidentOpened: ChangeTimes._open_incident,
}

# The kinds of events that times of changes are derived from.
CHANGE_KINDS = tuple(sorted(kind.__name__ for kind in _HANDLERS))
