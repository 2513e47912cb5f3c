"""Keep the environments of workflows that share a ledger apart: `prod` of `shop` is recorded as `shop/prod`.

A home from before has environments without a workflow. A workflow continues in branches of them, and so
does one that was renamed in branches of those of its former name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import EnvironmentCreated, Event
from tidemill.workflow.environment import Environment

_SEPARATOR = "/"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def workflow_prefix(workflow: str) -> str:
    """What the recorded names of a workflow's environments begin with."""
    name = _UNSAFE.sub(lambda found: "".join(f"%{b:02x}" for b in found[0].encode()), workflow)
    return f"{name}{_SEPARATOR}"


def split_name(recorded: str) -> tuple[str, str]:
    """The prefix and the own name of a recorded environment; environments from before have no prefix."""
    prefix, separator, name = recorded.rpartition(_SEPARATOR)
    return prefix + separator, name


def other_prefixes(environments: Iterable[str], prefix: str) -> list[str]:
    """The prefixes of the other workflows that have environments."""
    return sorted({split_name(name)[0] for name in environments} - {prefix, ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowScope:
    """The environments of one workflow among all of a ledger.

    `origins` maps each environment of another scope that one of this workflow continues to the own name
    and the event at which that began.
    """

    prefix: str
    origins: Mapping[str, tuple[str, float]]

    def recorded(self, name: str) -> str:
        """The recorded name of one of the workflow's environments."""
        return f"{self.prefix}{name}"

    def own(self, recorded: str, seq: float = -1) -> str | None:
        """The own name of a recorded environment, as of event `seq`; None if it isn't the workflow's."""
        prefix, name = split_name(recorded)
        if prefix == self.prefix:
            return name
        known, until = self.origins.get(recorded, (None, 0.0))
        return known if seq < until else None

    def environments(self, every: Mapping[str, Environment]) -> dict[str, Environment]:
        """The workflow's environments by their own names; those that continue others as these were."""
        found: dict[str, Environment] = {}
        continued = {name: recorded for recorded, (name, _) in self.origins.items()}
        for recorded, environment in every.items():
            prefix, name = split_name(recorded)
            if prefix == self.prefix or name in continued:
                source = every.get(continued.get(name, recorded), environment)
                expires = every.get(self.recorded(name), source).expires
                parent = split_name(source.parent)[1]
                found[name] = replace(source, name=name, parent=parent, expires=expires)
        return found


def workflow_scope(
    every: Mapping[str, Environment], prefix: str, former: str | None
) -> WorkflowScope:
    """The scope of a workflow.

    Before it has an environment, it shows those of the `former` prefix, if there is one.
    """
    own = {name: found for name, found in every.items() if split_name(name)[0] == prefix}
    origins: dict[str, tuple[str, float]] = {
        found.parent: (split_name(name)[1], found.since)
        for name, found in own.items()
        if found.parent and split_name(found.parent)[0] != prefix
    }
    if not own and former is not None:
        names = (name for name in every if split_name(name)[0] == former)
        origins = {name: (split_name(name)[1], float("inf")) for name in names}
    return WorkflowScope(prefix=prefix, origins=origins)


def adoption_events(
    every: Mapping[str, Environment], scope: WorkflowScope
) -> list[EnvironmentCreated]:
    """The events that continue the environments of another scope in branches of them."""
    return [
        EnvironmentCreated(
            environment=scope.recorded(name),
            parent=recorded,
            expires=every[recorded].expires,
            sample=every[recorded].sample,
            profile=every[recorded].profile,
        )
        for recorded, (name, _) in scope.origins.items()
    ]


def with_environment(event: Event, name: str, parent: str) -> Event:
    """The event in an environment of that name, as a branch of `parent` if it creates one."""
    if isinstance(event, EnvironmentCreated):
        return replace(event, environment=name, parent=parent)
    moved: Any = event
    changed: Event = replace(moved, environment=name)
    return changed


def declares_any(heads: Collection[str], stages: Collection[str]) -> bool:
    """Whether a workflow declares one of the published stages, so that they may be its own."""
    return not set(stages).isdisjoint(heads)
