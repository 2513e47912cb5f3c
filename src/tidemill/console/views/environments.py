"""Environments: which there are, and how their data differ from those of others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.environments.io.compare import StageDiff
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.workflow.environment import PRODUCTION, Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentLine:
    """An environment; `created` is None for production before its first run, `expires` if it never does.

    Its runs read the share `sample` of the rows, by a run `profile`, if there is one.
    """

    name: str
    parent: str
    created: float | None
    expires: float | None
    has_expired: bool
    sample: float
    profile: str
    is_production: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentsView:
    """All environments, production first, and the run `profiles` that a new one may have."""

    environments: tuple[EnvironmentLine, ...]
    profiles: tuple[str, ...]
    creating: ActionRight
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDiffLine:
    """A stage whose partitions differ: how many are the `same`, and which `places` aren't, in words.

    `columns` are counted by the partitions in which they differ.
    """

    stage: str
    is_declared: bool
    same: int
    changed: int
    added: int
    removed: int
    places: tuple[str, ...]
    columns: dict[str, int] = field(default_factory=dict)
    recipe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentView:
    """An environment, and the stages whose data differ from those in the environment `against`."""

    environment: EnvironmentLine
    against: str
    others: tuple[str, ...]
    branches: tuple[str, ...]
    stages: tuple[StageDiffLine, ...]
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedEnvironment:
    """An environment that was created; `told` says so."""

    environment: str
    expires: float | None
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedEnvironments:
    """The environments that were dropped; `told` says so."""

    dropped: tuple[str, ...]
    told: str


def list_environments(project: Project) -> EnvironmentsView:
    """List the environments: what each branched off, when it was created, and when it expires."""
    now = project.tools.clock()
    return EnvironmentsView(
        environments=tuple(_line(each, now) for each in project.environments.list()),
        profiles=tuple(project.settings.profiles),
        creating=action_right(project, Permission.CREATE_ENVIRONMENT),
        right=action_right(project, Permission.DROP_ENVIRONMENT),
    )


def show_environment(
    project: Project, environment: str, against: str = PRODUCTION
) -> EnvironmentView:
    """Show an environment, and which published data differ from those in another one.

    Partitions and columns are compared by their hashes; no rows are read.
    """
    service = project.environments
    service.require(environment)
    known = {each.name: each for each in service.list()}
    found = () if environment == against else service.diff(against, one=environment)
    return EnvironmentView(
        environment=_line(known[environment], project.tools.clock()),
        against=against,
        others=tuple(name for name in known if name != environment),
        branches=tuple(each.name for each in known.values() if each.parent == environment),
        stages=tuple(map(_diff, found)),
        right=action_right(project, Permission.DROP_ENVIRONMENT),
    )


def create_environment(
    project: Project,
    name: str,
    parent: str = PRODUCTION,
    ttl: str = "",
    sample: str = "",
    profile: str = "",
) -> CreatedEnvironment:
    """Create an environment as a branch of another one, or an empty one if `parent` is ""; nothing is copied.

    It expires after `ttl`, such as 14d. Its runs read the share `sample` of the rows, such as 0.05, and use a
    run `profile` of the settings. Without these they do as those of the parent.
    """
    made = project.environments.create(
        name,
        parent=parent,
        ttl=ttl or None,
        sample=_share(sample) if sample else None,
        profile=profile or None,
    )
    what = f"a new branch of {made.parent}" if made.parent else "new and empty"
    return CreatedEnvironment(
        environment=made.name, expires=made.expires, told=f"{made.name} is {what}."
    )


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"sample = {text!r} is not a share of the rows, such as 0.05") from None


def drop_environment(project: Project, environment: str, confirm: str) -> DroppedEnvironments:
    """Drop an environment, whose results stay stored and can still be reused; `confirm` repeats its name."""
    if confirm != environment:
        raise UsageError(f"to drop {environment}, repeat its name; {confirm!r} is another one")
    return _drop_result(project.environments.drop([environment]).dropped)


def drop_expired(project: Project) -> DroppedEnvironments:
    """Drop all environments that expired, have no branches, and in which nothing runs."""
    return _drop_result(project.environments.drop(expired=True).dropped)


def _drop_result(names: Iterable[str]) -> DroppedEnvironments:
    found = tuple(names)
    told = f"Dropped {', '.join(found)}." if found else "No environment has expired."
    return DroppedEnvironments(dropped=found, told=told)


def _line(found: Environment, now: float) -> EnvironmentLine:
    return EnvironmentLine(
        name=found.name,
        parent=found.parent,
        created=found.at if found.since else None,
        expires=found.expires,
        has_expired=found.has_expired(now),
        sample=found.sample,
        profile=found.profile,
        is_production=found.name == PRODUCTION,
    )


def _diff(found: StageDiff) -> StageDiffLine:
    every = [
        [key for key in keys if key != WHOLE]
        for keys in (found.changed, found.added, found.removed)
    ]
    return StageDiffLine(
        stage=found.stage,
        is_declared=found.declared,
        same=found.same,
        changed=len(found.changed),
        added=len(found.added),
        removed=len(found.removed),
        places=tuple(summarize_keys(keys) for keys in every if keys),
        columns=found.columns,
        recipe=found.recipe,
    )
