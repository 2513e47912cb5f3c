"""Environments whose time is over, or soon will be: nothing is done in them, and the next run drops them."""

from __future__ import annotations

from tidemill.act.environments import Environments
from tidemill.decide.freshness import age
from tidemill.domain.errors import UsageError
from tidemill.ports import State

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
