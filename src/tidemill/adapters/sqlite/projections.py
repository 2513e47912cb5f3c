"""The view of now, kept in step with the facts: what each event changes in the derived tables."""

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
    """One append's effect on the derived tables, inside its transaction.

    `bound` gathers the objects that its events bind.
    """

    connection: sqlite3.Connection
    seq: int = 0
    at: float = 0.0
    bound: dict[str, None] = field(default_factory=dict)
    _moved: set[tuple[str, str]] = field(default_factory=set)
    _noted: set[str] = field(default_factory=set)
    # By environment, whether it is a branch, and when the newest branch of it began.
    _families: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def apply(self, seq: int, at: float, event: Event) -> None:
        """Bring the tables up to this event; ConflictError when it contradicts them."""
        self.seq, self.at = seq, at
        environment = getattr(event, "environment", None)
        if environment is not None and not isinstance(event, _LIVES):
            self.note(environment)
        _RULES[type(event)](self, event)

    def run(self, name: str, *values: object) -> int:
        """Run a named statement; how many rows it changed."""
        return self.connection.execute(queries()[name], values).rowcount

    def note(self, environment: str) -> None:
        """An environment exists from the first event that names it."""
        if environment not in self._noted:
            self._noted.add(environment)
            self.run("note_environment", environment, "", self.seq, self.at, None, 1.0, "")

    def move(self, environment: str, stage: str) -> None:
        """A head moves by one an append, however many of its partitions change."""
        if (environment, stage) not in self._moved:
            self._moved.add((environment, stage))
            self.run("move_head", environment, stage, self.seq)

    def family(self, environment: str) -> tuple[bool, int]:
        """Whether an environment is a branch, and when the newest branch of it began, or 0."""
        if environment not in self._families:
            parent, newest, _ = self.known(environment) or ("", None, 1.0)
            self._families[environment] = bool(parent), newest or 0
        return self._families[environment]

    def known(self, environment: str) -> tuple[str, int | None, float] | None:
        """The parent, newest branch and sample of an environment, if there is one."""
        found: tuple[str, int | None, float] | None
        found = self.connection.execute(queries()["family"], (environment,)).fetchone()
        return found

    def forget(self) -> None:
        """Environments come or go: what was noted of them doesn't hold any more."""
        self._moved.clear()
        self._noted.clear()
        self._families.clear()

    def pin(self, objects: Iterable[str], key: str) -> None:
        """These objects must exist for the sake of `key`."""
        for name in objects:
            self.run("pin", name, key)


def _created(now: Derivation, event: EnvironmentCreated) -> None:
    name, parent = event.environment, event.parent
    if parent and now.known(parent) is None:
        raise refusals.environment_unknown(parent)
    row = (name, parent, now.seq, now.at, event.expires, event.sample, event.profile)
    if now.run("note_environment", *row) == 0:
        raise refusals.environment_exists(name)
    now.forget()
    for part in ("recipes", "heads", "settled", "deliveries", "decisions"):
        now.run(f"copy_{part}", name, parent)


def _dropped(now: Derivation, event: EnvironmentDropped) -> None:
    name, known = event.environment, now.known(event.environment)
    if known is None:
        raise refusals.environment_unknown(name)
    branches = [
        n for n, parent, *_ in now.connection.execute(queries()["environments"]) if parent == name
    ]
    if branches:
        raise refusals.environment_has_branches(name, branches)
    now.forget()
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
        now.run(f"drop_{part}", name)
    for owner in filter(None, (name, known[0])):
        now.run("forget_past_bindings", owner)
        now.run("forget_past_sources", owner)


def _run_started(now: Derivation, event: RunStarted) -> None:
    holder = encode(event.holder)
    row = (event.run, event.environment, now.at, event.command, event.steps, holder)
    if now.run("start_run", *row) == 0:
        raise refusals.run_exists(event.run)


def _run_ended(now: Derivation, event: RunEnded) -> None:
    receipt = encode(event.receipt) if event.receipt else None
    if now.run("end_run", event.status, now.at, receipt, event.run) == 0:
        raise refusals.run_not_open(event.run)


def _attempted(now: Derivation, event: Attempted) -> None:
    attempt = event.attempt
    action = {Outcome.OK: attempt.action, Outcome.BOUND: Action.BIND}.get(attempt.outcome)
    # What was to be bound and had to be computed after all doesn't say what either costs.
    if action is None or (action == Action.BIND) != (attempt.outcome is Outcome.BOUND):
        return
    seconds = (attempt.wall_s, attempt.cpu_s)
    sizes = (attempt.rows_in, attempt.bytes_in, attempt.rows_out)
    now.run("learn_cost", attempt.stage, action, *seconds, *sizes)


def _published(now: Derivation, event: Published) -> None:
    binding, environment = event.binding, event.environment
    if binding.sample != 1.0 and (now.known(environment) or ("", None, 1.0))[2] != binding.sample:
        raise refusals.sampled(environment, event.stage, event.partition, binding.sample)
    place = (environment, event.stage, event.partition)
    _keep(now, place)
    now.run("bind", *place, now.seq)
    _traced(now, event)
    now.move(environment, event.stage)


def _traced(now: Derivation, event: Published | Computed) -> None:
    binding = event.binding
    now.run("trace", binding.key, event.stage, now.seq)
    now.pin(binding.product.pins, binding.key)
    now.bound.update(dict.fromkeys(binding.product.pins))


def _removed(now: Derivation, event: Removed) -> None:
    place = (event.environment, event.stage, event.partition)
    _keep(now, place)
    if now.family(event.environment)[0]:
        now.run("hide", *place, now.seq)
    else:
        now.run("unbind", *place)
    now.move(event.environment, event.stage)


def _keep(now: Derivation, place: tuple[str, str, str]) -> None:
    """Keep what is bound to a place for the branches that read it."""
    newest = now.family(place[0])[1]
    if newest:
        now.run("keep_binding", now.seq, *place, newest)


def _recipe_changed(now: Derivation, event: RecipeChanged) -> None:
    now.run("set_recipe", event.environment, event.stage, event.recipe, encode(event.parts))


def _source_seen(now: Derivation, event: SourceSeen) -> None:
    place = (event.environment, event.stage)
    is_branch, newest = now.family(event.environment)
    many = now.connection.executemany
    if newest:
        paths = (*(file.path for file in event.files), *event.gone)
        many(queries()["keep_source"], [(*place, path, now.seq, newest) for path in paths])
    seen = [(*place, file.path, encode(file), now.seq) for file in event.files]
    many(queries()["see_source"], seen)
    if is_branch:
        many(queries()["hide_source"], [(*place, path, now.seq) for path in event.gone])
    else:
        many(queries()["forget_source"], [(*place, path) for path in event.gone])
    now.run("unsettle", *place)


def _settled(now: Derivation, event: Settled) -> None:
    mark = event.mark
    now.run("settle", event.environment, event.stage, mark.signature, mark.partitions)


def _judged(now: Derivation, event: Judged) -> None:
    """Nothing is derived from it: it is read as a fact."""


def _ruled(now: Derivation, event: Ruled) -> None:
    now.run("rule", event.environment, event.stage, event.partition, now.seq)
    now.pin(event.ruling.pins, f"ruling {now.seq}")
    now.bound.update(dict.fromkeys(event.ruling.pins))


def _decided(now: Derivation, event: Decided) -> None:
    decision = event.decision
    now.run("decide", event.environment, decision.subject, event.stage, encode(decision))


def _delivered(now: Derivation, event: Delivered) -> None:
    now.run("deliver", event.environment, event.delivery.name, encode(event.delivery))


def _effect_queued(now: Derivation, event: EffectQueued) -> None:
    effect, wanted = event.effect, (event.environment, encode(event.effect))
    found = now.connection.execute(queries()["effect"], (effect.key,)).fetchone()
    if found is not None and found != wanted:
        raise refusals.effect_differs(effect, event.environment)
    if found is None:
        now.run("queue_effect", effect.key, wanted[0], now.seq, wanted[1])
        now.pin([effect.object] if effect.object else [], effect.key)


def _effect_done(now: Derivation, event: EffectDone) -> None:
    found = now.connection.execute(queries()["effect"], (event.key,)).fetchone()
    if found is None or found[0] != event.environment:
        raise refusals.effect_unknown(event.key, event.environment)
    now.run("finish_effect", encode(event.detail), event.key)


def _ticked(now: Derivation, event: Ticked) -> None:
    if now.run("tick", event.schedule, event.tick) == 0:
        raise refusals.tick_taken(event.schedule, event.tick)


# What environments begin and end with.
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
