"""Environments as they are told apart: which there are, how one begins as a branch, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from tidemill.act.holder import this_process
from tidemill.act.tenure import Heartbeat, take_lease
from tidemill.act.tools import Tools
from tidemill.decide.sampling import share_of
from tidemill.domain.environment import PRODUCTION, Environment, environment_of
from tidemill.domain.errors import UsageError, did_you_mean
from tidemill.domain.event import EnvironmentCreated, EnvironmentDropped, Event, RunEnded
from tidemill.domain.quantity import seconds_of
from tidemill.domain.run import Status
from tidemill.ports import Guard, Ledger, State


def standing(ledger: Ledger, name: str, *, whole: bool = False) -> State:
    """The state of an environment; UsageError when there is none of that name."""
    state = ledger.state(name, whole=whole)
    if not _is_there(state, name):
        raise _unknown(name, state)
    return state


def foreseen(ledger: Ledger, name: str, *, whole: bool = False) -> State:
    """The same; where there is none yet, what its first run will find: what production has."""
    state = ledger.state(name, whole=whole)
    if _is_there(state, name):
        return state
    origin = ledger.state(PRODUCTION, whole=whole)
    return replace(origin, environment=name, pending=(), open_runs=())


def sample_of(state: State, asked: float | None) -> float:
    """The share of rows that an environment's runs take; UsageError when another one is asked for."""
    found = state.environments.get(state.environment)
    if found is None:
        return 1.0 if asked is None else share_of(asked)
    if asked is None or asked == found.sample:
        return found.sample
    own = "all rows" if found.sample == 1.0 else f"a sample of {found.sample:g}"
    raise UsageError(
        f"the environment {found.name!r} works on {own}, which was settled when it began: "
        f"take another one, such as --env {found.name}-{asked:g} --sample {asked:g}"
    )


def begin(tools: Tools, name: str, asked: float | None, lease: Heartbeat) -> list[str]:
    """Let an environment begin as a branch of production if it isn't there; that it did, in words.

    `asked` is the sample that it is to work on; UsageError when it is there and works on another.
    """
    if name == PRODUCTION:
        return []
    state = tools.ledger.state(name)
    sample = sample_of(state, asked)
    if _is_there(state, name):
        return []
    event = _branch(state, name, PRODUCTION, sample)
    tools.ledger.append([event], now=tools.clock(), guard=Guard(lease=lease.lease))
    share = "" if sample == 1.0 else f", on a sample of {sample:g}"
    kind = f"a new branch of {event.parent}" if event.parent else "new and empty"
    return [f"{name} is {kind}{share}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Environments that were dropped, and those that stay because others branched off them."""

    dropped: tuple[str, ...] = ()
    kept: Mapping[str, tuple[str, ...]]


class Environments:
    """The environments of a project."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def list(self) -> tuple[Environment, ...]:
        """All that there are, production first and then in the order in which they began."""
        known = self._tools.ledger.state(PRODUCTION).environments
        others = sorted(known.values(), key=lambda found: found.since)
        production = known.get(PRODUCTION, Environment(name=PRODUCTION))
        return (production, *(found for found in others if found.name != PRODUCTION))

    def create(
        self,
        name: str,
        *,
        parent: str = PRODUCTION,
        ttl: str | float | None = None,
        sample: float | None = None,
    ) -> Environment:
        """Begin an environment with all that `parent` has now, or with nothing if that is ""; no copies.

        It expires after the time `ttl`, such as "14d", and its runs take a share of `sample` of the rows
        (default: all, or those that its parent's runs take). UsageError for a parent that doesn't exist,
        ConflictError when there is such an environment.
        """
        state = self._tools.ledger.state(environment_of(name))
        if name == PRODUCTION:
            raise UsageError(f"{PRODUCTION} is always there: nothing has to create it")
        if parent and not _is_there(state, parent):
            raise _unknown(parent, state)
        share = _inherited(state, parent) if sample is None else share_of(sample)
        now = self._tools.clock()
        expires = None if ttl is None else now + _length(ttl)
        event = replace(_branch(state, name, parent, share), expires=expires)
        since = self._tools.ledger.append([event], now=now)
        return Environment(
            name=name, parent=event.parent, since=since, at=now, expires=expires, sample=share
        )

    def drop(self, names: Iterable[str] = (), *, expired: bool = False) -> Dropped:
        """End environments: those that are named, with `expired` all whose time is over.

        What was computed in them stays known, and objects stay stored. Of those that expired one whose
        branches live on stays. UsageError for production and for what doesn't exist, ConflictError for
        one that is named and has branches, or in which a run is at work.
        """
        known = self._tools.ledger.state(PRODUCTION).environments
        now, wanted = self._tools.clock(), dict.fromkeys(names)
        for name in wanted:
            if name == PRODUCTION:
                raise UsageError(f"{PRODUCTION} can't be dropped: it is what users see")
            if name not in known:
                raise _unknown(name, self._tools.ledger.state(PRODUCTION))
        over = [n for n, found in known.items() if expired and found.expired(now)]
        kept: dict[str, tuple[str, ...]] = {}
        dropped: list[str] = []
        # Who branched off another began later.
        for name in sorted({*wanted, *over}, key=lambda name: -known[name].since):
            branches = tuple(
                other.name
                for other in known.values()
                if other.parent == name and other.name not in dropped
            )
            if branches and name not in wanted:
                kept[name] = branches
            else:
                self._drop(name)
                dropped.append(name)
        return Dropped(dropped=tuple(dropped), kept=kept)

    def _drop(self, name: str) -> None:
        tools = self._tools
        lease = take_lease(tools, name, this_process(f"drop {name}"), 0.0)
        try:
            lost: list[Event] = [
                RunEnded(run=run.id, status=Status.LOST)
                for run in tools.ledger.state(name).open_runs
            ]
            events = [*lost, EnvironmentDropped(environment=name)]
            tools.ledger.append(events, now=tools.clock(), guard=Guard(lease=lease.lease))
        finally:
            lease.close()


def lineage_of(environments: Mapping[str, Environment], name: str) -> Callable[[str, int], bool]:
    """Tells whether what happened in an environment, as a fact of that number, is part of one's history."""
    before: dict[str, float] = {name: float("inf")}
    while (found := environments.get(name)) is not None and found.parent:
        before[found.parent], name = found.since, found.parent
    return lambda environment, seq: seq < before.get(environment, 0)


def _is_there(state: State, name: str) -> bool:
    return name == PRODUCTION or name in state.environments


def _branch(state: State, name: str, parent: str, sample: float) -> EnvironmentCreated:
    # A production that never ran has nothing to hand down.
    known = parent if parent in state.environments else ""
    return EnvironmentCreated(environment=name, parent=known, sample=sample)


def _inherited(state: State, parent: str) -> float:
    return state.environments[parent].sample if parent in state.environments else 1.0


def _length(ttl: str | float) -> float:
    try:
        return seconds_of(ttl)
    except ValueError:
        raise UsageError(f"{ttl!r} is no length of time; write such as '12h' or '14d'") from None


def _unknown(name: str, state: State) -> UsageError:
    names: Collection[str] = {PRODUCTION, *state.environments}
    return UsageError(
        f"there is no environment {name!r} ({did_you_mean(name, names)}); its first run makes one, and "
        f"so does tidemill env create {name}"
    )
