"""Project events onto the ledger's tables of current state."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from tidemill.adapters.codec import ledger_errors as refusals
from tidemill.adapters.codec.events import decode_event, encode, encode_sparse
from tidemill.adapters.sqlite.listing_tables import note_for_listings
from tidemill.adapters.sqlite.stamps import stamp, unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.compaction_events import Compacted
from tidemill.ledger.cost_events import PricesSet, StorageMetered
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
    Removed,
    RolloutStepped,
    Ruled,
    RunEnded,
    RunStarted,
    Served,
    Settled,
    SourceSeen,
)
from tidemill.ledger.event_subjects import begun_subject, ended_subject, subjects_of
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
from tidemill.ledger.run import Action, Outcome
from tidemill.ledger.schedule_events import (
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    Ticked,
)
from tidemill.ledger.stored_objects import needed_objects


@dataclass(slots=True, kw_only=True)
class Projector:
    """Apply one append's events to the projection tables, inside its transaction.

    `bound_objects` collects the objects that the events bind, `rescued_objects` those that they need and that
    a sweep was about to delete.
    """

    connection: sqlite3.Connection
    seq: int = 0
    at: float = 0.0
    bound_objects: dict[str, None] = field(default_factory=dict)
    rescued_objects: dict[str, None] = field(default_factory=dict)
    _moved_heads: set[tuple[str, str]] = field(default_factory=set)
    _known_environments: set[str] = field(default_factory=set)
    # For each environment: whether it is a branch, and the fact that created its newest branch.
    _branching: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def apply(self, seq: int, at: float, event: Event) -> None:
        """Update the tables for an event; ConflictError when it contradicts them."""
        self.seq, self.at = seq, at
        environment = getattr(event, "environment", None)
        if environment is not None and not isinstance(event, _ENVIRONMENT_EVENTS):
            self.ensure_environment(environment)
        _HANDLERS[type(event)](self, event)
        if subjects := subjects_of(event):
            self._note_subjects(event, subjects)

    def _note_subjects(self, event: Event, subjects: Iterable[str]) -> None:
        """Record what an event is about, and whether that is open from now on."""
        for subject in subjects:
            self.execute("note_subject", subject, self.seq)
        if begun := begun_subject(event):
            self.execute("open_subject", begun)
        elif ended := ended_subject(event):
            self.execute("end_subject", ended)

    def execute(self, name: str, *values: object, **named: object) -> int:
        """Run a named statement and return the number of rows it changed."""
        return self.connection.execute(queries()[name], named or values).rowcount

    def ensure_environment(self, environment: str) -> None:
        """Create the environment's row with the first event that names it."""
        if environment not in self._known_environments:
            self._known_environments.add(environment)
            self.execute("add_environment", environment, "", self.seq, self.at, None, 1.0, "")

    def move_head(self, environment: str, stage: str) -> None:
        """Advance a head's version: once per append, however many partitions change."""
        if (environment, stage) not in self._moved_heads:
            self._moved_heads.add((environment, stage))
            self.execute("move_head", environment, stage, self.seq)

    def branching(self, environment: str) -> tuple[bool, int]:
        """Whether an environment is a branch, and the fact that created its newest branch, or 0."""
        if environment not in self._branching:
            parent, newest, _ = self.environment_row(environment) or ("", None, 1.0)
            self._branching[environment] = bool(parent), newest or 0
        return self._branching[environment]

    def environment_row(self, environment: str) -> tuple[str, int | None, float] | None:
        """The parent, newest branch and sample of an environment, if there is one."""
        found: tuple[str, int | None, float] | None
        found = self.connection.execute(queries()["branching"], (environment,)).fetchone()
        return found

    def clear_caches(self) -> None:
        """Clear what is cached about environments, because one is created or dropped."""
        self._moved_heads.clear()
        self._known_environments.clear()
        self._branching.clear()

    def pin_objects(self, event: Event) -> tuple[str, ...]:
        """Record that an event needs its objects to exist, so that no sweep deletes them; return them."""
        objects = needed_objects(event)
        for name in objects:
            self.execute("pin", name, self.seq)
            if self.execute("rescue", name):
                self.rescued_objects[name] = None
        return objects


def _create_environment(projector: Projector, event: EnvironmentCreated) -> None:
    name, parent = event.environment, event.parent
    if parent and projector.environment_row(parent) is None:
        raise refusals.environment_unknown(parent)
    row = (name, parent, projector.seq, projector.at, event.expires, event.sample, event.profile)
    if projector.execute("add_environment", *row) == 0:
        raise refusals.environment_already_exists(name)
    projector.clear_caches()
    for part in _COPIED:
        projector.execute(f"copy_{part}", name, parent)


def _drop_environment(projector: Projector, event: EnvironmentDropped) -> None:
    name, known = event.environment, projector.environment_row(event.environment)
    if known is None:
        raise refusals.environment_unknown(name)
    branches = [
        n
        for n, parent, *_ in projector.connection.execute(queries()["environments"])
        if parent == name
    ]
    if branches:
        raise refusals.environment_has_branches(name, branches)
    projector.clear_caches()
    projector.execute("supersede_bindings", environment=name, at=projector.at)
    for part in (*_COPIED, "bindings", "sources", "rulings", "effects", "environment"):
        projector.execute(f"drop_{part}", name)
    for owner in filter(None, (name, known[0])):
        projector.execute("supersede_past_bindings", environment=owner, at=projector.at)
        projector.execute("forget_past_bindings", environment=owner)
        projector.execute("forget_past_sources", environment=owner)


def _start_run(projector: Projector, event: RunStarted) -> None:
    holder = encode(event.holder)
    row = (event.run, event.environment, projector.at, event.command, event.steps, holder)
    if projector.execute("start_run", *row) == 0:
        raise refusals.run_already_started(event.run)


def _end_run(projector: Projector, event: RunEnded) -> None:
    receipt = encode_sparse(event.receipt) if event.receipt else None
    if projector.execute("end_run", event.status, projector.at, receipt, event.run) == 0:
        raise refusals.run_not_open(event.run)


def _update_cost(projector: Projector, event: Attempted) -> None:
    attempt = event.attempt
    action = {Outcome.OK: attempt.action, Outcome.BOUND: Action.BIND}.get(attempt.outcome)
    # A planned bind that had to be computed after all is no measure of either action's cost.
    if action is None or (action == Action.BIND) != (attempt.outcome is Outcome.BOUND):
        return
    seconds = (attempt.wall_s, attempt.cpu_s)
    sizes = (attempt.rows_in, attempt.bytes_in, attempt.rows_out)
    projector.execute("update_cost", attempt.stage, action, *seconds, *sizes)


def _bind_partition(projector: Projector, event: Published) -> None:
    binding, environment = event.binding, event.environment
    if (
        binding.sample != 1.0
        and (projector.environment_row(environment) or ("", None, 1.0))[2] != binding.sample
    ):
        raise refusals.sample_differs(environment, event.stage, event.partition, binding.sample)
    place = (environment, event.stage, event.partition)
    _supersede_binding(projector, place)
    projector.execute("bind", *place, projector.seq)
    note_for_listings(projector.connection, projector.seq, event)
    _record_trace(projector, event)
    projector.move_head(environment, event.stage)


def _record_trace(projector: Projector, event: Published | Computed) -> None:
    binding = event.binding
    projector.execute("trace", binding.key, event.stage, projector.seq)
    if projector.pin_objects(event):
        since = projector.at if isinstance(event, Computed) else None
        projector.execute("add_result", projector.seq, binding.key, since)
    projector.bound_objects.update(dict.fromkeys(binding.product.all_objects))


def _remove_partition(projector: Projector, event: Removed) -> None:
    place = (event.environment, event.stage, event.partition)
    _supersede_binding(projector, place)
    if projector.branching(event.environment)[0]:
        projector.execute("hide_binding", *place, projector.seq)
    else:
        projector.execute("unbind", *place)
    projector.move_head(event.environment, event.stage)


def _supersede_binding(projector: Projector, place: tuple[str, str, str]) -> None:
    """Note when a binding is replaced, and keep it for the branches that still read it."""
    environment, stage, partition = place
    projector.execute(
        "supersede_binding",
        environment=environment,
        stage=stage,
        partition=partition,
        at=projector.at,
    )
    newest = projector.branching(place[0])[1]
    if newest:
        projector.execute("keep_binding", projector.seq, *place, newest)


def _set_recipe(projector: Projector, event: RecipeChanged) -> None:
    projector.execute(
        "set_recipe", event.environment, event.stage, event.recipe, stamp(encode(event.parts))
    )


def _record_sources(projector: Projector, event: SourceSeen) -> None:
    place = (event.environment, event.stage)
    is_branch, newest = projector.branching(event.environment)
    many = projector.connection.executemany
    if newest:
        paths = dict.fromkeys((*(file.path for file in event.files), *event.gone))
        many(queries()["keep_source"], [(projector.seq, *place, path, newest) for path in paths])
    seen = [(*place, file.path, stamp(encode_sparse(file)), projector.seq) for file in event.files]
    many(queries()["record_source"], seen)
    if is_branch:
        many(queries()["hide_source"], [(*place, path, projector.seq) for path in event.gone])
    else:
        many(queries()["forget_source"], [(*place, path) for path in event.gone])
    projector.execute("clear_settled", *place)


def _set_mark(projector: Projector, event: Settled) -> None:
    mark = event.mark
    projector.execute(
        "set_settled", event.environment, event.stage, mark.signature, mark.partitions
    )


def _ignore(projector: Projector, event: Event) -> None:
    """Change no table: it is only read as a fact."""


def _pin_page(projector: Projector, event: ReviewPageStored) -> None:
    projector.pin_objects(event)
    projector.bound_objects[event.page] = None


def _note_verdict(projector: Projector, event: Judged) -> None:
    note_for_listings(projector.connection, projector.seq, event)


def _record_ruling(projector: Projector, event: Ruled) -> None:
    projector.execute(
        "record_ruling", event.environment, event.stage, event.partition, projector.seq
    )
    projector.pin_objects(event)
    projector.bound_objects.update(dict.fromkeys(event.ruling.pinned_objects))


def _set_decision(projector: Projector, event: Decided) -> None:
    decision = event.decision
    projector.execute(
        "set_decision", event.environment, decision.subject, event.stage, stamp(encode(decision))
    )


def _set_delivery(projector: Projector, event: Delivered) -> None:
    projector.execute(
        "set_delivery", event.environment, event.delivery.name, stamp(encode(event.delivery))
    )
    projector.pin_objects(event)
    projector.bound_objects.update(dict.fromkeys(event.delivery.artifact.all_objects))


def _queue_effect(projector: Projector, event: EffectQueued) -> None:
    effect, wanted = event.effect, (event.environment, stamp(encode(event.effect)))
    found = projector.connection.execute(queries()["effect"], (effect.key,)).fetchone()
    if found is not None and found != wanted:
        raise refusals.effect_differs(effect, event.environment)
    if found is None:
        projector.execute("queue_effect", effect.key, wanted[0], projector.seq, wanted[1])
        projector.pin_objects(event)


def _finish_effect(projector: Projector, event: EffectDone) -> None:
    found = projector.connection.execute(queries()["effect"], (event.key,)).fetchone()
    if found is None or found[0] != event.environment:
        raise refusals.effect_unknown(event.key, event.environment)
    projector.execute("finish_effect", encode(event.detail), event.key)


def _record_tick(projector: Projector, event: Ticked) -> None:
    if projector.execute("record_tick", event.schedule, event.tick) == 0:
        raise refusals.tick_already_taken(event.schedule, event.tick)


def _pin_held_rows(projector: Projector, event: ReviewOpened) -> None:
    projector.pin_objects(event)


def _mark_garbage(projector: Projector, marked: SweepMarked) -> None:
    """Forget results and what needs their objects; what nothing else needs becomes garbage.

    What was bound again since the sweep looked stays.
    """
    for seq in (seq for mark in marked.marks for seq in mark.events):
        event = _stored_event(projector.connection, seq)
        row = projector.connection.execute(queries()["result_use"], (seq,)).fetchone()
        if row is not None and row[1]:
            continue
        if isinstance(event, Published | Computed):
            projector.execute("drop_trace", event.binding.key, seq)
            projector.execute("drop_result", seq)
        for name in needed_objects(event) if event is not None else ():
            projector.execute("unpin", name, seq)
            if not projector.connection.execute(queries()["is_pinned"], (name,)).fetchone():
                projector.execute("add_garbage", name, projector.seq)


def stored_needs(connection: sqlite3.Connection, seq: int) -> tuple[str, ...]:
    """The objects that a recorded event needs, or needed."""
    event = _stored_event(connection, seq)
    return () if event is None else needed_objects(event)


def _stored_event(connection: sqlite3.Connection, seq: int) -> Event | None:
    row = connection.execute(queries()["stored_event"], (seq,)).fetchone()
    return None if row is None else decode_event(unstamp(row[-1]))


def _confirm_sweep(projector: Projector, event: SweepConfirmed) -> None:
    for mark in event.marked:
        projector.execute("drop_garbage", mark)


# What a new environment starts with a copy of.
_COPIED = (
    "recipes", "heads", "settled", "deliveries", "decisions", "contract_versions", "stale_tables",
)  # fmt: skip
# These create or drop an environment themselves.
_ENVIRONMENT_EVENTS = (EnvironmentCreated, EnvironmentDropped)

_HANDLERS: Mapping[type[Event], Callable[[Projector, Any], None]] = {
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
    ReviewOpened: _pin_held_rows,
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
    SweepConfirmed: _confirm_sweep,
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
