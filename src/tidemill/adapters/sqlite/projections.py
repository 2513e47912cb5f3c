"""Project events onto the ledger's tables of current state."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.adapters.codec import refusals
from tidemill.adapters.codec.events import encode
from tidemill.adapters.sqlite.statements import queries
from tidemill.ledger.event import (
    Attempted,
    Computed,
    Decided,
    Delivered,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    Judged,
    Published,
    RecipeChanged,
    Removed,
    Ruled,
    RunEnded,
    RunStarted,
    Settled,
    SourceSeen,
    Ticked,
)
from tidemill.ledger.run import Action, Outcome


@dataclass(slots=True, kw_only=True)
class Derivation:
    """Apply one append's events to the projection tables, inside its transaction.

    `bound_objects` collects the objects that the events bind.
    """

    connection: sqlite3.Connection
    seq: int = 0
    at: float = 0.0
    bound: dict[str, None] = field(default_factory=dict)
    _moved: set[tuple[str, str]] = field(default_factory=set)
    _noted: set[str] = field(default_factory=set)
    # For each environment: whether it is a branch, and the fact that created its newest branch.
    _families: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def apply(self, seq: int, at: float, event: Event) -> None:
        """Update the tables for an event; ConflictError when it contradicts them."""
        self.seq, self.at = seq, at
        environment = getattr(event, "environment", None)
        if environment is not None and not isinstance(event, _LIVES):
            self.note(environment)
        _RULES[type(event)](self, event)

    def run(self, name: str, *values: object) -> int:
        """Run a named statement and return the number of rows it changed."""
        return self.connection.execute(queries()[name], values).rowcount

    def note(self, environment: str) -> None:
        """Create the environment's row with the first event that names it."""
        if environment not in self._noted:
            self._noted.add(environment)
            self.run("add_environment", environment, "", self.seq, self.at, None, 1.0, "")

    def move(self, environment: str, stage: str) -> None:
        """Advance a head's version: once per append, however many partitions change."""
        if (environment, stage) not in self._moved:
            self._moved.add((environment, stage))
            self.run("move_head", environment, stage, self.seq)

    def family(self, environment: str) -> tuple[bool, int]:
        """Whether an environment is a branch, and the fact that created its newest branch, or 0."""
        if environment not in self._families:
            parent, newest, _ = self.known(environment) or ("", None, 1.0)
            self._families[environment] = bool(parent), newest or 0
        return self._families[environment]

    def known(self, environment: str) -> tuple[str, int | None, float] | None:
        """The parent, newest branch and sample of an environment, if there is one."""
        found: tuple[str, int | None, float] | None
        found = self.connection.execute(queries()["branching"], (environment,)).fetchone()
        return found

    def forget(self) -> None:
        """Clear what is cached about environments, because one is created or dropped."""
        self._moved.clear()
        self._noted.clear()
        self._families.clear()

    def pin(self, objects: Iterable[str], key: str) -> None:
        """Record that `key` needs these objects to exist."""
        for name in objects:
            self.run("pin", name, key)


def _created(projector: Derivation, event: EnvironmentCreated) -> None:
    name, parent = event.environment, event.parent
    if parent and projector.known(parent) is None:
        raise refusals.environment_unknown(parent)
    row = (name, parent, projector.seq, projector.at, event.expires, event.sample, event.profile)
    if projector.run("add_environment", *row) == 0:
        raise refusals.environment_exists(name)
    projector.forget()
    for part in ("recipes", "heads", "settled", "deliveries", "decisions"):
        projector.run(f"copy_{part}", name, parent)


def _dropped(projector: Derivation, event: EnvironmentDropped) -> None:
    name, known = event.environment, projector.known(event.environment)
    if known is None:
        raise refusals.environment_unknown(name)
    branches = [
        n
        for n, parent, *_ in projector.connection.execute(queries()["environments"])
        if parent == name
    ]
    if branches:
        raise refusals.environment_has_branches(name, branches)
    projector.forget()
    own = (
        "recipes",
        "heads",
        "settled",
        "deliveries",
        "decisions",
        "bindings",
        "sources",
        "rulings",
    )
    for part in (*own, "effects", "environment"):
        projector.run(f"drop_{part}", name)
    for owner in filter(None, (name, known[0])):
        projector.run("forget_past_bindings", owner)
        projector.run("forget_past_sources", owner)


def _run_started(projector: Derivation, event: RunStarted) -> None:
    holder = encode(event.holder)
    row = (event.run, event.environment, projector.at, event.command, event.steps, holder)
    if projector.run("start_run", *row) == 0:
        raise refusals.run_exists(event.run)


def _run_ended(projector: Derivation, event: RunEnded) -> None:
    receipt = encode(event.receipt) if event.receipt else None
    if projector.run("end_run", event.status, projector.at, receipt, event.run) == 0:
        raise refusals.run_not_open(event.run)


def _attempted(projector: Derivation, event: Attempted) -> None:
    attempt = event.attempt
    action = {Outcome.OK: attempt.action, Outcome.BOUND: Action.BIND}.get(attempt.outcome)
    # A planned bind that had to be computed after all is no measure of either action's cost.
    if action is None or (action == Action.BIND) != (attempt.outcome is Outcome.BOUND):
        return
    seconds = (attempt.wall_s, attempt.cpu_s)
    sizes = (attempt.rows_in, attempt.bytes_in, attempt.rows_out)
    projector.run("update_cost", attempt.stage, action, *seconds, *sizes)


def _published(projector: Derivation, event: Published) -> None:
    binding, environment = event.binding, event.environment
    if (
        binding.sample != 1.0
        and (projector.known(environment) or ("", None, 1.0))[2] != binding.sample
    ):
        raise refusals.sampled(environment, event.stage, event.partition, binding.sample)
    place = (environment, event.stage, event.partition)
    _keep(projector, place)
    projector.run("bind", *place, projector.seq)
    _traced(projector, event)
    projector.move(environment, event.stage)


def _traced(projector: Derivation, event: Published | Computed) -> None:
    binding = event.binding
    projector.run("trace", binding.key, event.stage, projector.seq)
    projector.pin(binding.product.pins, binding.key)
    projector.bound.update(dict.fromkeys(binding.product.pins))


def _removed(projector: Derivation, event: Removed) -> None:
    place = (event.environment, event.stage, event.partition)
    _keep(projector, place)
    if projector.family(event.environment)[0]:
        projector.run("hide_binding", *place, projector.seq)
    else:
        projector.run("unbind", *place)
    projector.move(event.environment, event.stage)


def _keep(projector: Derivation, place: tuple[str, str, str]) -> None:
    """Keep the replaced binding for the branches that still read it."""
    newest = projector.family(place[0])[1]
    if newest:
        projector.run("keep_binding", projector.seq, *place, newest)


def _recipe_changed(projector: Derivation, event: RecipeChanged) -> None:
    projector.run("set_recipe", event.environment, event.stage, event.recipe, encode(event.parts))


def _source_seen(projector: Derivation, event: SourceSeen) -> None:
    place = (event.environment, event.stage)
    is_branch, newest = projector.family(event.environment)
    many = projector.connection.executemany
    if newest:
        paths = (*(file.path for file in event.files), *event.gone)
        many(queries()["keep_source"], [(*place, path, projector.seq, newest) for path in paths])
    seen = [(*place, file.path, encode(file), projector.seq) for file in event.files]
    many(queries()["record_source"], seen)
    if is_branch:
        many(queries()["hide_source"], [(*place, path, projector.seq) for path in event.gone])
    else:
        many(queries()["forget_source"], [(*place, path) for path in event.gone])
    projector.run("clear_settled", *place)


def _settled(projector: Derivation, event: Settled) -> None:
    mark = event.mark
    projector.run("set_settled", event.environment, event.stage, mark.signature, mark.partitions)


def _judged(projector: Derivation, event: Judged) -> None:
    """Change no table: it is only read as a fact."""


def _ruled(projector: Derivation, event: Ruled) -> None:
    projector.run("record_ruling", event.environment, event.stage, event.partition, projector.seq)
    projector.pin(event.ruling.pins, f"ruling {projector.seq}")
    projector.bound.update(dict.fromkeys(event.ruling.pins))


def _decided(projector: Derivation, event: Decided) -> None:
    decision = event.decision
    projector.run(
        "set_decision", event.environment, decision.subject, event.stage, encode(decision)
    )


def _delivered(projector: Derivation, event: Delivered) -> None:
    projector.run("set_delivery", event.environment, event.delivery.name, encode(event.delivery))


def _effect_queued(projector: Derivation, event: EffectQueued) -> None:
    effect, wanted = event.effect, (event.environment, encode(event.effect))
    found = projector.connection.execute(queries()["effect"], (effect.key,)).fetchone()
    if found is not None and found != wanted:
        raise refusals.effect_differs(effect, event.environment)
    if found is None:
        projector.run("queue_effect", effect.key, wanted[0], projector.seq, wanted[1])
        projector.pin([effect.object] if effect.object else [], effect.key)


def _effect_done(projector: Derivation, event: EffectDone) -> None:
    found = projector.connection.execute(queries()["effect"], (event.key,)).fetchone()
    if found is None or found[0] != event.environment:
        raise refusals.effect_unknown(event.key, event.environment)
    projector.run("finish_effect", encode(event.detail), event.key)


def _ticked(projector: Derivation, event: Ticked) -> None:
    if projector.run("record_tick", event.schedule, event.tick) == 0:
        raise refusals.tick_taken(event.schedule, event.tick)


# These create or drop an environment themselves.
_LIVES = (EnvironmentCreated, EnvironmentDropped)

_RULES: Mapping[type[Event], Callable[[Derivation, Any], None]] = {
    EnvironmentCreated: _created,
    EnvironmentDropped: _dropped,
    RunStarted: _run_started,
    RunEnded: _run_ended,
    Attempted: _attempted,
    Published: _published,
    Computed: _traced,
    Removed: _removed,
    RecipeChanged: _recipe_changed,
    SourceSeen: _source_seen,
    Settled: _settled,
    Judged: _judged,
    Ruled: _ruled,
    Decided: _decided,
    Delivered: _delivered,
    EffectQueued: _effect_queued,
    EffectDone: _effect_done,
    Ticked: _ticked,
}
