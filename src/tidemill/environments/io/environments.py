"""Environments as they are told apart: which there are, how one begins as a branch, and how it ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from tidemill.core.errors import ConflictError, UsageError, did_you_mean
from tidemill.core.units import seconds_of
from tidemill.environments.io.terms import Terms, told
from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped, Event, RunEnded
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.run import Status
from tidemill.planning.freshness import age
from tidemill.ports.ledger import Guard, Ledger, State
from tidemill.ports.runtime import Tools
from tidemill.runs.io.lease import Heartbeat, take_lease
from tidemill.workflow.environment import PRODUCTION, Environment, environment_of


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


def begin(tools: Tools, name: str, terms: Terms, lease: Heartbeat) -> list[str]:
    """Let an environment begin as a branch of production if it isn't there; that it did, in words.

    UsageError when it is there on other terms.
    """
    if name == PRODUCTION:
        return []
    state = tools.ledger.state(name)
    settled = terms.settled(state)
    if _is_there(state, name):
        return []
    event = _branch(state, settled, PRODUCTION)
    tools.ledger.append([event], now=tools.clock(), guard=Guard(lease=lease.lease))
    kind = f"a new branch of {event.parent}" if event.parent else "new and empty"
    return [f"{name} is {kind}{told(settled)}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Environments that were dropped, and of those that expired the ones that stay: with their branches,
    or with none when something is at work in them.
    """

    dropped: tuple[str, ...] = ()
    kept: Mapping[str, tuple[str, ...]]


class Environments:
    """The environments of a project, which has the profiles that `terms` tells."""

    def __init__(self, tools: Tools, terms: Terms) -> None:
        self._tools = tools
        self._terms = terms

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
        profile: str | None = None,
    ) -> Environment:
        """Begin an environment with all that `parent` has now, or with nothing if that is ""; no copies.

        It expires after the time `ttl`, such as "14d". Its runs take a share of `sample` of the rows, and
        work with a `profile` of the settings (default: as its parent's do). UsageError for a parent or a
        profile that doesn't exist, ConflictError when there is such an environment.
        """
        terms = replace(self._terms, sample=sample, profile=profile)
        state = self._tools.ledger.state(environment_of(name))
        if name == PRODUCTION:
            raise UsageError(f"{PRODUCTION} is always there: nothing has to create it")
        if parent and not _is_there(state, parent):
            raise _unknown(parent, state)
        given = state.environments.get(parent, Environment(name=parent))
        now = self._tools.clock()
        expires = None if ttl is None else now + _length(ttl)
        began = replace(terms.begun(given), name=name, expires=expires)
        event = _branch(state, began, parent)
        since = self._tools.ledger.append([event], now=now)
        return replace(began, parent=event.parent, since=since, at=now)

    def drop(self, names: Iterable[str] = (), *, expired: bool = False) -> Dropped:
        """End environments: those that are named, with `expired` all whose time is over.

        What was computed in them stays known, and objects stay stored. Of those that expired one stays
        whose branches live on, or in which a run is at work. UsageError for production and for what doesn't
        exist, ConflictError for one that is named and would have to stay.
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
                continue
            try:
                self._drop(known[name])
            except ConflictError:
                if name in wanted:
                    raise
                kept[name] = ()
            else:
                dropped.append(name)
        return Dropped(dropped=tuple(dropped), kept=kept)

    def _drop(self, known: Environment) -> None:
        tools, name = self._tools, known.name
        lease = take_lease(tools, name, this_process(f"drop {name}"), 0.0)
        try:
            state = tools.ledger.state(name)
            if state.environments.get(name) != known:
                raise ConflictError(f"somebody else dropped the environment {name!r} meanwhile")
            lost: list[Event] = [
                RunEnded(run=run.id, status=Status.LOST) for run in state.open_runs
            ]
            events = [*lost, EnvironmentDropped(environment=name)]
            tools.ledger.append(events, now=tools.clock(), guard=Guard(lease=lease.lease))
        finally:
            lease.close()


def _is_there(state: State, name: str) -> bool:
    return name == PRODUCTION or name in state.environments


def _branch(state: State, began: Environment, parent: str) -> EnvironmentCreated:
    return EnvironmentCreated(
        environment=began.name,
        # A production that never ran has nothing to hand down.
        parent=parent if parent in state.environments else "",
        expires=began.expires,
        sample=began.sample,
        profile=began.profile,
    )


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


# So long before its end (in seconds) the runs of an environment tell of it.
NOTICE = 86_400.0


def refuse_over(state: State, name: str, now: float) -> None:
    """UsageError when the time of an environment is over: it isn't run, nor promoted."""
    found = state.environments.get(name)
    if found is not None and found.expires is not None and found.expired(now):
        raise UsageError(
            f"the environment {name!r} expired {age(now - found.expires)} ago, and will be dropped: go on "
            f"in a branch of it (tidemill env create NAME --from {name}), or drop it and begin anew"
        )


def tend(environments: Environments, state: State, now: float) -> list[str]:
    """Drop what expired, but for what is in use; that, and that the environment of `state` soon will."""
    words = []
    own = state.environments.get(state.environment)
    if own is not None and own.expires is not None and own.expires - now < NOTICE:
        words.append(
            f"{own.name} expires in {age(own.expires - now)}; what goes on longer is a branch of it: "
            f"tidemill env create NAME --from {own.name}"
        )
    if any(found.expired(now) for found in state.environments.values()):
        dropped = environments.drop(expired=True).dropped
        words += [f"{name} expired and was dropped" for name in dropped]
    return words
