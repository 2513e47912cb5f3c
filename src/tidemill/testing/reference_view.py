"""The ledger's current state in plain dicts: a reference model to compare every adapter with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import field, fields, replace
from typing import Any, TypeVar

from tidemill.adapters.codec import ledger_errors as refusals
from tidemill.contracts.finding import TableFindings
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding, ContractUse, Head, Mark
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.cost import Cost
from tidemill.ledger.cost_events import PricesSet, StorageMetered
from tidemill.ledger.delivery import Decision, Delivery, Effect
from tidemill.ledger.event import (
    Attempted,
    Computed,
    Decided,
    Delivered,
    DriftAlarmed,
    DriftJudged,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    Judged,
    LineageDropped,
    Published,
    RecipeChanged,
    RecordedEvent,
    Removed,
    RolloutStepped,
    Ruled,
    RunEnded,
    RunStarted,
    Served,
    Settled,
    SourceSeen,
)
from tidemill.ledger.governance_events import (
    Acted,
    ContractPublished,
    Erased,
    NoticeSent,
    PolicyDecided,
    ReviewClosed,
    ReviewExtended,
    ReviewOpened,
    ReviewPageStored,
    RulesLoaded,
    TokenCreated,
    TokenRevoked,
    Voted,
    Waived,
    WaiverEnded,
)
from tidemill.ledger.incident_events import (
    AlertFailed,
    AlertSent,
    IncidentChanged,
    IncidentClosed,
    IncidentOpened,
    Silenced,
    SilenceEnded,
)
from tidemill.ledger.note_events import NoteSent
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    RetentionDeclared,
    StagesUndeclared,
    SweepConfirmed,
    SweepMarked,
)
from tidemill.ledger.run import Outcome, RunInfo, Status
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)
from tidemill.ledger.stored_objects import needed_objects
from tidemill.ports.ledger import State
from tidemill.workflow.environment import Environment
from tidemill.workflow.source import SourceFile

T = TypeVar("T")
Pair = tuple[str, str]
Triple = tuple[str, str, str]

# The weight of a new attempt in a mean cost is at least one over this number.
_COST_WINDOW = 16


@dataclass(slots=True)
class ReferenceView:
    """All derived tables; keys start with the environment, except for what environments share."""

    environments: dict[str, Environment] = field(default_factory=dict)
    recipes: dict[Pair, Mapping[str, str]] = field(default_factory=dict)
    heads: dict[Pair, tuple[int, int]] = field(default_factory=dict)
    bindings: dict[Triple, Binding] = field(default_factory=dict)
    sources: dict[Triple, SourceFile] = field(default_factory=dict)
    settled: dict[Pair, Mark] = field(default_factory=dict)
    rulings: dict[Triple, tuple[Ruling, ...]] = field(default_factory=dict)
    live: dict[Pair, Delivery] = field(default_factory=dict)
    decisions: dict[Pair, Decision] = field(default_factory=dict)
    contract_versions: dict[Triple, ContractUse] = field(default_factory=dict)
    stale: dict[Pair, TableFindings] = field(default_factory=dict)
    runs: dict[str, RunInfo] = field(default_factory=dict)
    effects: dict[str, tuple[str, Effect]] = field(default_factory=dict)
    pending: dict[str, tuple[str, Effect]] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    ticks: set[Pair] = field(default_factory=set)
    traces: dict[str, Binding] = field(default_factory=dict)
    costs: dict[Pair, Cost] = field(default_factory=dict)
    # The key of each result with objects, by its event, and the event of each trace.
    results: dict[int, str] = field(default_factory=dict)
    trace_events: dict[str, int] = field(default_factory=dict)

    moved_heads: set[Pair] = field(default_factory=set)
    bound_objects: dict[str, None] = field(default_factory=dict)
    seq: int = 0

    def copy(self) -> ReferenceView:
        """An independent copy."""
        return ReferenceView(*(copy(getattr(self, item.name)) for item in fields(self)))

    def advance(self, facts: Sequence[RecordedEvent]) -> tuple[str, ...]:
        """Apply the facts of one append and return the objects that they bind."""
        self.moved_heads, self.bound_objects = set(), {}
        for fact in facts:
            environment = getattr(fact.event, "environment", None)
            self.seq = fact.seq
            lives = isinstance(fact.event, EnvironmentCreated | EnvironmentDropped)
            if environment is not None and not lives and environment not in self.environments:
                self.environments[environment] = Environment(
                    name=environment, since=fact.seq, at=fact.at
                )
            _HANDLERS[type(fact.event)](self, fact.at, fact.event)
        return tuple(self.bound_objects)

    def state(self, environment: str, seq: int) -> State:
        """The current state of one environment."""
        bindings, sources = (
            _of_environment_by_stage(self.bindings, environment),
            _of_environment_by_stage(self.sources, environment),
        )
        heads = _of_environment(self.heads, environment)
        runs = [run for run in self.runs.values() if run.environment == environment]
        effects = [effect for at, effect in self.pending.values() if at == environment]
        return State(
            environment=environment,
            seq=seq,
            heads={
                stage: Head(version=version, last_event=moved, partitions=bindings.get(stage, {}))
                for stage, (version, moved) in heads.items()
            },
            recipes=_of_environment(self.recipes, environment),
            sources=sources,
            completion_marks=_of_environment(self.settled, environment),
            rulings=_of_environment_by_stage(self.rulings, environment),
            live=_of_environment(self.live, environment),
            decisions=_of_environment(self.decisions, environment),
            pending_effects=tuple(effects),
            open_runs=tuple(
                run
                for run in sorted(runs, key=lambda run: (run.started, run.id))
                if run.status == Status.RUNNING
            ),
            costs={
                stage: {action: cost for (at, action), cost in self.costs.items() if at == stage}
                for stage, _ in self.costs
            },
            environments=self.environments,
            contract_versions=_of_environment_by_stage(self.contract_versions, environment),
            stale=_of_environment(self.stale, environment),
        )

    def move_head(self, environment: str, stage: str) -> None:
        """Advance a head's version: once per append, however many partitions change."""
        if (environment, stage) not in self.moved_heads:
            self.moved_heads.add((environment, stage))
            version, _ = self.heads.get((environment, stage), (0, 0))
            self.heads[environment, stage] = (version + 1, self.seq)

    @property
    def per_environment(self) -> tuple[dict[Any, Any], ...]:
        """The tables that are separate for each environment and copied from its parent on creation."""
        return (
            *(self.recipes, self.heads, self.bindings, self.sources, self.settled),
            *(self.rulings, self.live, self.decisions, self.contract_versions, self.stale),
        )


def _of_environment(table: Mapping[Pair, T], environment: str) -> dict[str, T]:
    return {name: value for (at, name), value in table.items() if at == environment}


def _of_environment_by_stage(
    table: Mapping[Triple, T], environment: str
) -> dict[str, dict[str, T]]:
    stages: dict[str, dict[str, T]] = {}
    for (at, stage, name), value in table.items():
        if at == environment:
            stages.setdefault(stage, {})[name] = value
    return stages


def _create_environment(view: ReferenceView, at: float, event: EnvironmentCreated) -> None:
    name, parent = event.environment, event.parent
    if parent and parent not in view.environments:
        raise refusals.environment_unknown(parent)
    if name in view.environments:
        raise refusals.environment_already_exists(name)
    view.moved_heads = set()
    view.environments[name] = Environment(
        name=name,
        parent=parent,
        since=view.seq,
        at=at,
        expires=event.expires,
        sample=event.sample,
        profile=event.profile,
    )
    for table in view.per_environment:
        copied = {key[1:]: value for key, value in table.items() if key[0] == parent}
        table.update({(name, *rest): value for rest, value in copied.items()})


def _drop_environment(view: ReferenceView, at: float, event: EnvironmentDropped) -> None:
    name = event.environment
    if name not in view.environments:
        raise refusals.environment_unknown(name)
    branches = [other.name for other in view.environments.values() if other.parent == name]
    if branches:
        raise refusals.environment_has_branches(name, branches)
    view.moved_heads = set()
    del view.environments[name]
    for table in view.per_environment:
        for key in [key for key in table if key[0] == name]:
            del table[key]
    for key in [key for key, (at_, _) in view.pending.items() if at_ == name]:
        view.finished.add(key)
        del view.pending[key]


def _start_run(view: ReferenceView, at: float, event: RunStarted) -> None:
    if event.run in view.runs:
        raise refusals.run_already_started(event.run)
    view.runs[event.run] = RunInfo(
        id=event.run,
        environment=event.environment,
        status=Status.RUNNING,
        started=at,
        command=event.command,
        holder=event.holder,
    )


def _end_run(view: ReferenceView, at: float, event: RunEnded) -> None:
    run = view.runs.get(event.run)
    if run is None or run.status != Status.RUNNING:
        raise refusals.run_not_open(event.run)
    view.runs[event.run] = replace(run, status=event.status, ended=at, receipt=event.receipt)


def _update_cost(view: ReferenceView, at: float, event: Attempted) -> None:
    tried = event.attempt
    if tried.outcome is Outcome.BOUND:
        kind = (tried.stage, "bind")
    elif tried.outcome is Outcome.OK and tried.action != "bind":
        kind = (tried.stage, tried.action)
    else:
        return
    before = view.costs.get(kind)
    count = before.attempts + 1 if before else 1

    def mean(name: str) -> float:
        old, new = getattr(before, name, 0.0), float(getattr(tried, name))
        return new if before is None else float(old + (new - old) / min(count, _COST_WINDOW))

    names = (item.name for item in fields(Cost) if item.name != "attempts")
    view.costs[kind] = Cost(attempts=count, **{name: mean(name) for name in names})


def _bind_partition(view: ReferenceView, at: float, event: Published) -> None:
    binding, environment = event.binding, event.environment
    if binding.sample not in (1.0, view.environments[environment].sample):
        raise refusals.sample_differs(environment, event.stage, event.partition, binding.sample)
    view.bindings[event.environment, event.stage, event.partition] = binding
    version = (environment, event.stage, binding.contract)
    known = view.contract_versions.get(version)
    view.contract_versions[version] = ContractUse(
        first=known.first if known else view.seq,
        last=view.seq,
        published=(known.published if known else 0) + 1,
    )
    _record_trace(view, at, event)
    view.move_head(event.environment, event.stage)


def _record_trace(view: ReferenceView, at: float, event: Published | Computed) -> None:
    key = event.binding.key
    view.traces.setdefault(key, event.binding)
    view.trace_events.setdefault(key, view.seq)
    if needed_objects(event):
        view.results[view.seq] = key
    view.bound_objects.update(dict.fromkeys(event.binding.product.all_objects))


def _remove_partition(view: ReferenceView, at: float, event: Removed) -> None:
    view.bindings.pop((event.environment, event.stage, event.partition), None)
    view.move_head(event.environment, event.stage)


def _set_recipe(view: ReferenceView, at: float, event: RecipeChanged) -> None:
    view.recipes[event.environment, event.stage] = event.parts


def _record_sources(view: ReferenceView, at: float, event: SourceSeen) -> None:
    for file in event.files:
        view.sources[event.environment, event.stage, file.path] = file
    for path in event.gone:
        view.sources.pop((event.environment, event.stage, path), None)
    view.settled.pop((event.environment, event.stage), None)


def _set_mark(view: ReferenceView, at: float, event: Settled) -> None:
    view.settled[event.environment, event.stage] = event.mark


def _ignore(view: ReferenceView, at: float, event: Event) -> None:
    """Change nothing: it is only read as a fact."""


def _pin_page(view: ReferenceView, at: float, event: ReviewPageStored) -> None:
    view.bound_objects[event.page] = None


def _note_verdict(view: ReferenceView, at: float, event: Judged) -> None:
    view.stale.pop((event.environment, event.stage), None)
    if event.verdict.findings:
        view.stale[event.environment, event.stage] = event.verdict


def _record_ruling(view: ReferenceView, at: float, event: Ruled) -> None:
    place = (event.environment, event.stage, event.partition)
    view.rulings[place] = (*view.rulings.get(place, ()), event.ruling)
    view.bound_objects.update(dict.fromkeys(event.ruling.pinned_objects))


def _set_decision(view: ReferenceView, at: float, event: Decided) -> None:
    view.decisions[event.environment, event.decision.subject] = event.decision


def _set_delivery(view: ReferenceView, at: float, event: Delivered) -> None:
    view.live[event.environment, event.delivery.name] = event.delivery
    view.bound_objects.update(dict.fromkeys(event.delivery.artifact.all_objects))


def _queue_effect(view: ReferenceView, at: float, event: EffectQueued) -> None:
    wanted = (event.environment, event.effect)
    if view.effects.setdefault(event.effect.key, wanted) != wanted:
        raise refusals.effect_differs(event.effect, event.environment)
    if event.effect.key not in view.finished:
        view.pending.setdefault(event.effect.key, wanted)


def _finish_effect(view: ReferenceView, at: float, event: EffectDone) -> None:
    if view.effects.get(event.key, ("", None))[0] != event.environment:
        raise refusals.effect_unknown(event.key, event.environment)
    view.finished.add(event.key)
    view.pending.pop(event.key, None)


def _record_tick(view: ReferenceView, at: float, event: Ticked) -> None:
    if (event.schedule, event.tick) in view.ticks:
        raise refusals.tick_already_taken(event.schedule, event.tick)
    view.ticks.add((event.schedule, event.tick))


def _mark_garbage(view: ReferenceView, at: float, event: SweepMarked) -> None:
    used = {binding.key for binding in view.bindings.values()}
    for seq in (seq for mark in event.marks for seq in mark.events):
        if view.results.get(seq) in used:
            continue
        view.results.pop(seq, None)
        for key in [key for key, first in view.trace_events.items() if first == seq]:
            del view.trace_events[key], view.traces[key]


_HANDLERS: Mapping[type[Event], Callable[[ReferenceView, float, Any], None]] = {
    EnvironmentCreated: _create_environment,
    EnvironmentDropped: _drop_environment,
    RunStarted: _start_run,
    RunEnded: _end_run,
    Attempted: _update_cost,
    Published: _bind_partition,
    Computed: _record_trace,
    Removed: _remove_partition,
    RecipeChanged: _set_recipe,
    SourceSeen: _record_sources,
    Settled: _set_mark,
    Judged: _note_verdict,
    DriftJudged: _ignore,
    DriftAlarmed: _ignore,
    Ruled: _record_ruling,
    Decided: _set_decision,
    Delivered: _set_delivery,
    EffectQueued: _queue_effect,
    EffectDone: _finish_effect,
    Ticked: _record_tick,
    TokenCreated: _ignore,
    TokenRevoked: _ignore,
    Served: _ignore,
    RolloutStepped: _ignore,
    RulesLoaded: _ignore,
    PolicyDecided: _ignore,
    ContractPublished: _ignore,
    Waived: _ignore,
    WaiverEnded: _ignore,
    ReviewOpened: _ignore,
    ReviewPageStored: _pin_page,
    Voted: _ignore,
    ReviewExtended: _ignore,
    ReviewClosed: _ignore,
    NoticeSent: _ignore,
    LineageDropped: _ignore,
    Erased: _ignore,
    Acted: _ignore,
    Compacted: _ignore,
    IncidentOpened: _ignore,
    IncidentChanged: _ignore,
    IncidentClosed: _ignore,
    AlertSent: _ignore,
    AlertFailed: _ignore,
    Silenced: _ignore,
    SilenceEnded: _ignore,
    ScheduleChanged: _ignore,
    SchedulePaused: _ignore,
    ScheduleResumed: _ignore,
    SweepMarked: _mark_garbage,
    SweepConfirmed: _ignore,
    DataPinned: _ignore,
    DataUnpinned: _ignore,
    StagesUndeclared: _ignore,
    RetentionDeclared: _ignore,
    PricesSet: _ignore,
    WorkDeferred: _ignore,
    StorageMetered: _ignore,
    ChangesSeen: _ignore,
    NoteSent: _ignore,
}
