"""List, create and drop environments, and drop the expired ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tidemill.core.errors import ConflictError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds
from tidemill.environments.io.environment_options import EnvironmentOptions, options_text
from tidemill.ledger.event import (
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    RecipeChanged,
    Removed,
    RunEnded,
    SourceSeen,
)
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.run import Status
from tidemill.planning.freshness import format_age
from tidemill.ports.ledger import Guard, Ledger, State
from tidemill.ports.runtime import Runtime
from tidemill.runs.io.lease import Heartbeat, take_lease
from tidemill.workflow.environment import PRODUCTION, Environment, check_environment_name


def load_state(ledger: Ledger, name: str, *, whole: bool = False) -> State:
    """Load the state of an environment; UsageError if it doesn't exist."""
    state = ledger.state(name, whole=whole)
    if not _exists(state, name):
        raise _unknown_environment(name, state)
    return state


def preview_state(ledger: Ledger, name: str, *, whole: bool = False) -> State:
    """Load the state of an environment, or the one that its first run will start from: production's."""
    state = ledger.state(name, whole=whole)
    if _exists(state, name):
        return state
    origin = ledger.state(PRODUCTION, whole=whole)
    return replace(origin, environment=name, pending_effects=(), open_runs=())


def begin_environment(
    tools: Runtime, name: str, options: EnvironmentOptions, lease: Heartbeat
) -> list[str]:
    """Create an environment as a branch of production unless it exists; return a note if it was created.

    Raises UsageError if it exists with different options.
    """
    if name == PRODUCTION:
        return []
    state = tools.ledger.state(name)
    settled = options.resolve_environment(state)
    if _exists(state, name):
        return []
    settled = replace(settled, expires=options.expiry_of(settled, tools.clock()))
    event = _creation_event(state, settled, PRODUCTION)
    tools.ledger.append([event], now=tools.clock(), guard=Guard(lease=lease.lease))
    kind = f"a new branch of {event.parent}" if event.parent else "new and empty"
    return [f"{name} is {kind}{options_text(settled)}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropResult:
    """The environments that were dropped, and the expired ones that stay.

    Those have branches, which are listed, or a run is active in them.
    """

    dropped: tuple[str, ...] = ()
    kept: Mapping[str, tuple[str, ...]]


class Environments:
    """The environments of a project; `options` has its profiles."""

    def __init__(self, tools: Runtime, options: EnvironmentOptions) -> None:
        self._tools = tools
        self._terms = options

    def list(self) -> tuple[Environment, ...]:
        """List all environments: production first, the others in the order of their creation."""
        known = self._tools.ledger.state(PRODUCTION).environments
        others = sorted(known.values(), key=lambda found: found.since)
        production = known.get(PRODUCTION, Environment(name=PRODUCTION))
        return (production, *(found for found in others if found.name != PRODUCTION))

    def require(self, name: str, *, or_dropped: bool = False) -> None:
        """Raise UsageError if there is no such environment, or with `or_dropped` if there never was one."""
        state = self._tools.ledger.state(name)
        if not _exists(state, name) and not (or_dropped and self._was_dropped(name)):
            raise _unknown_environment(name, state)

    def _was_dropped(self, name: str) -> bool:
        facts = self._tools.ledger.events(kinds=(EnvironmentDropped.__name__,))
        return any(getattr(fact.event, "environment", "") == name for fact in facts)

    def create(
        self,
        name: str,
        *,
        parent: str = PRODUCTION,
        ttl: str | float | None = None,
        sample: float | None = None,
        profile: str | None = None,
        actor: str = "",
    ) -> Environment:
        """Create an environment as a branch of `parent`, or an empty one if that is ""; nothing is copied.

        It expires after `ttl`, such as "14d" (default: the lifetime of its profile). Its runs read the share
        `sample` of the rows, and use a `profile` of the settings (default for both: the parent's). Raises
        UsageError for a parent or a profile that doesn't exist, ConflictError if the environment exists.
        """
        terms = replace(self._terms, sample=sample, profile=profile)
        state = self._tools.ledger.state(check_environment_name(name))
        if name == PRODUCTION:
            raise UsageError(f"{PRODUCTION} always exists and can't be created")
        if parent and not _exists(state, parent):
            raise _unknown_environment(parent, state)
        given = state.environments.get(parent, Environment(name=parent))
        now = self._tools.clock()
        began = replace(terms.new_environment(given), name=name)
        expires = terms.expiry_of(began, now) if ttl is None else now + _parse_ttl(ttl)
        began = replace(began, expires=expires)
        event = replace(_creation_event(state, began, parent), actor=actor)
        since = self._tools.ledger.append([event], now=now)
        return replace(began, parent=event.parent, since=since, at=now)

    def drop(
        self, names: Iterable[str] = (), *, expired: bool = False, actor: str = ""
    ) -> DropResult:
        """Drop the named environments; with `expired` also all that expired.

        Their results stay known for reuse, and objects stay stored. An expired environment stays while it
        has branches or an active run; a named one then raises ConflictError. Raises UsageError for
        production and for an environment that doesn't exist.
        """
        known = self._tools.ledger.state(PRODUCTION).environments
        now, wanted = self._tools.clock(), dict.fromkeys(names)
        for name in wanted:
            if name == PRODUCTION:
                raise UsageError(f"{PRODUCTION} can't be dropped: it is what users read")
            if name not in known:
                raise _unknown_environment(name, self._tools.ledger.state(PRODUCTION))
        over = [n for n, found in known.items() if expired and found.has_expired(now)]
        kept: dict[str, tuple[str, ...]] = {}
        dropped: list[str] = []
        # A branch was created after its parent, so this order drops branches first.
        for name in sorted({*wanted, *over}, key=lambda name: -known[name].since):
            branches = tuple(
                other.name
                for other in known.values()
                if other.parent == name and other.name not in dropped
            )
            if branches and name not in wanted:
                kept[name] = branches
                continue
            try:
                self._drop(known[name], actor)
            except ConflictError:
                if name in wanted:
                    raise
                kept[name] = ()
            else:
                dropped.append(name)
        return DropResult(dropped=tuple(dropped), kept=kept)

    def _drop(self, known: Environment, actor: str) -> None:
        tools, name = self._tools, known.name
        lease = take_lease(tools, name, this_process(f"drop {name}"), None)
        try:
            state = tools.ledger.state(name)
            if state.environments.get(name) != known:
                raise ConflictError(f"another process dropped the environment {name!r} meanwhile")
            lost: list[Event] = [
                RunEnded(run=run.id, status=Status.LOST) for run in state.open_runs
            ]
            events = [*lost, EnvironmentDropped(environment=name, actor=actor)]
            tools.ledger.append(events, now=tools.clock(), guard=Guard(lease=lease.lease))
        finally:
            lease.close()


def forget_stages(
    tools: Runtime, environment: str, stages: Iterable[str], also: Sequence[Event] = ()
) -> dict[str, int]:
    """Remove all partitions, sources and recipes of stages; return their numbers of partitions.

    The events `also` are recorded in the same transaction.
    """
    names = tuple(dict.fromkeys(stages))
    lease = take_lease(tools, environment, this_process(f"forget {' '.join(names)}"), None)
    try:
        state = load_state(tools.ledger, environment, whole=True)
        events = [*also, *(event for name in names for event in _forget_events(state, name))]
        tools.ledger.append(events, now=tools.clock(), guard=Guard(lease=lease.lease))
    finally:
        lease.close()
    return {name: len(state.heads[name].partitions) for name in names}


def _forget_events(state: State, stage: str) -> Iterator[Event]:
    name = state.environment
    for partition in sorted(state.heads[stage].partitions):
        yield Removed(environment=name, stage=stage, partition=partition, run="")
    if files := state.sources.get(stage):
        yield SourceSeen(environment=name, stage=stage, gone=tuple(files))
    if stage in state.recipes:
        yield RecipeChanged(environment=name, stage=stage, recipe="", parts={})


def _exists(state: State, name: str) -> bool:
    return name == PRODUCTION or name in state.environments


def _creation_event(state: State, began: Environment, parent: str) -> EnvironmentCreated:
    return EnvironmentCreated(
        environment=began.name,
        # A production that never ran has nothing to branch from.
        parent=parent if parent in state.environments else "",
        expires=began.expires,
        sample=began.sample,
        profile=began.profile,
    )


def _parse_ttl(ttl: str | float) -> float:
    try:
        return parse_seconds(ttl)
    except ValueError:
        raise UsageError(f"{ttl!r} is not a duration; write for example '12h' or '14d'") from None


def _unknown_environment(name: str, state: State) -> UsageError:
    names: Collection[str] = {PRODUCTION, *state.environments}
    return UsageError(
        f"there is no environment {name!r} ({did_you_mean(name, names)}); create it with "
        f"`tidemill env create {name}`, or with --create in its first run"
    )


# Runs announce the expiry of their environment this many seconds before.
EXPIRY_NOTICE_S = 86_400.0


def require_unexpired(state: State, name: str, now: float) -> None:
    """Raise UsageError if an environment expired: it can't be run or promoted any more."""
    found = state.environments.get(name)
    if found is not None and found.expires is not None and found.has_expired(now):
        raise UsageError(
            f"the environment {name!r} expired {format_age(now - found.expires)} ago and will be dropped: "
            f"continue in a branch of it (tidemill env create NAME --from {name}), or drop and recreate it"
        )


def drop_expired(environments: Environments, state: State, now: float) -> list[str]:
    """Drop expired environments that aren't in use; return notes on those and on a coming expiry."""
    notes = []
    own = state.environments.get(state.environment)
    if own is not None and own.expires is not None and own.expires - now < EXPIRY_NOTICE_S:
        notes.append(
            f"{own.name} expires in {format_age(own.expires - now)}; to continue longer, create a "
            f"branch of it: tidemill env create NAME --from {own.name}"
        )
    if any(found.has_expired(now) for found in state.environments.values()):
        dropped = environments.drop(expired=True).dropped
        notes += [f"{name} expired and was dropped" for name in dropped]
    return notes
