"""Environments: named branches of a project's state. Users see what production delivers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.spending_limit import SpendingLimit

PRODUCTION = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """An environment, and how it was created: from its parent's state before event `since`, or empty.

    Times are Unix seconds; without `expires` it exists until it is dropped. `sample` is the share of
    source rows that its runs read, `profile` the run profile that they use.
    """

    name: str
    parent: str = ""
    since: int = 0
    at: float = 0.0
    expires: float | None = None
    sample: float = 1.0
    profile: str = ""

    def has_expired(self, now: float) -> bool:
        """Whether the environment has expired."""
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProfile:
    """Named settings of runs: a `sample` of the rows, and `params` that override those of models.

    Both are parts of recipes, so that results are never shared with runs under other settings. The others
    change no result. Worker processes use at most so many `cpus`, and `memory` bytes together (0: what the
    project says), or with `whole_machine` all there is; if they are `preemptible`, all other work goes first.
    An environment that is created with the profile exists for `lifetime` seconds, and may spend its `budget`.
    `place` is where the profile is defined.
    """

    name: str
    sample: float | None = None
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cpus: float = 0.0
    memory: int = 0
    whole_machine: bool = False
    preemptible: bool = False
    budget: SpendingLimit | None = None
    lifetime: float | None = None
    place: str = ""

    @property
    def changes_results(self) -> bool:
        """Whether results differ from those without the profile."""
        return self.sample is not None or bool(self.params)


def own_place(place: str, environment: str) -> str:
    """The name of a folder or table outside of the project's home that belongs to an environment.

    Production has the name as it is declared; any other environment has `PLACE@ENVIRONMENT`.
    """
    return place if environment == PRODUCTION else f"{place}@{environment}"


# Names of environments become parts of folder names and leases.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_environment_name(name: str) -> str:
    """Check the name of an environment and return it; UsageError if it is invalid."""
    if not _NAME.fullmatch(name):
        shown = repr(name) if len(name) <= 80 else f"{name[:40]!r}... ({len(name)} characters)"
        raise UsageError(
            f"{shown} is not a valid name of an environment: use 1 to 64 letters (A to Z, a to z), "
            "digits, '-', '_' and '.', not beginning with '.' or '-', such as 'dev-ana'"
        )
    return name


def history_filter(
    environments: Mapping[str, Environment], name: str
) -> Callable[[str, int], bool]:
    """Return a predicate: is event number `seq` of an environment part of the history of `name`?"""
    before: dict[str, float] = {name: float("inf")}
    while (found := environments.get(name)) is not None and found.parent:
        before[found.parent], name = found.since, found.parent
    return lambda environment, seq: seq < before.get(environment, 0)


def environment_option(environment: str) -> str:
    """The option with which a command looks at an environment; "" for production."""
    return "" if environment == PRODUCTION else f" --env {environment}"
