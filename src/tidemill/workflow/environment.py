"""Recipes, heads and bindings under a name; what is delivered from production is what users see."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.core.errors import UsageError

PRODUCTION = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment as it began: with what its parent had before the fact `since`, or with nothing.

    Times are Unix seconds; one without `expires` stays until it is dropped. A `sample` below 1 says
    which share of the rows of its sources its runs take, `profile` with which of the project's profiles.
    """

    name: str
    parent: str = ""
    since: int = 0
    at: float = 0.0
    expires: float | None = None
    sample: float = 1.0
    profile: str = ""

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProfile:
    """What runs do otherwise under a name: on a `sample` of the rows, with other `params` of models.

    Both are parts of recipes, so that no result is taken for one of other runs. `place` is where it is
    said.
    """

    name: str
    sample: float | None = None
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    place: str = ""


# It becomes part of the name of a folder, and of a lease.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def environment_of(name: str) -> str:
    """The name of an environment as it was given; UsageError when it can't be one."""
    if not _NAME.fullmatch(name):
        shown = repr(name) if len(name) <= 80 else f"{name[:40]!r}... ({len(name)} characters)"
        raise UsageError(
            f"{shown} is no name of an environment; it has 1 to 64 of the letters A to Z and a to z, "
            "digits, '-', '_' and '.', and doesn't begin with '.' or '-', such as 'dev-ana'"
        )
    return name


def lineage_of(environments: Mapping[str, Environment], name: str) -> Callable[[str, int], bool]:
    """Tells whether what happened in an environment, as a fact of that number, is part of one's history."""
    before: dict[str, float] = {name: float("inf")}
    while (found := environments.get(name)) is not None and found.parent:
        before[found.parent], name = found.since, found.parent
    return lambda environment, seq: seq < before.get(environment, 0)
