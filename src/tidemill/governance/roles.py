"""Roles of people by workflow: who may do at least what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import IntEnum
from fnmatch import fnmatchcase

from tidemill.core.lazy_dataclass import dataclass

# The name of a grant that is everybody's.
EVERYBODY = "*"
_SPECIAL = frozenset("*?[")


class Role(IntEnum):
    """A role; each may do all that the ones before it may do."""

    VIEWER = 1
    OPERATOR = 2
    REVIEWER = 3
    ADMIN = 4

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Gives `who` a role in the workflows whose names match one of the patterns.

    `who` is a person, `@GROUP`, or `*` for everybody.
    """

    who: str
    role: Role
    workflows: tuple[str, ...] = ("*",)

    def covers(self, workflow: str) -> bool:
        """Whether the grant counts for a workflow."""
        return matches_any(workflow, self.workflows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """The roles of a project: `groups` are the people of each group, `within` the groups in it.

    Without any grant everybody is an admin, as in a project that declares no roles. With `has_logins` an
    identity provider states further members of groups, who are known while they act.
    """

    grants: tuple[Grant, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    within: Mapping[str, frozenset[str]] = field(default_factory=dict)
    has_logins: bool = False

    @property
    def are_declared(self) -> bool:
        """Whether the project declares roles."""
        return bool(self.grants)

    def with_member(self, person: str, stated: frozenset[str]) -> Grants:
        """The grants with a person in groups whose names a provider stated; others than these don't count."""
        if not self.has_logins or not stated:
            return self
        groups = {
            name: people | {person}
            if name in stated or not stated.isdisjoint(self.within.get(name, ()))
            else people
            for name, people in self.groups.items()
        }
        return replace(self, groups=groups)

    def role_of(self, person: str, workflow: str) -> Role | None:
        """The highest role of a person in a workflow; None without one."""
        if not self.grants:
            return Role.ADMIN
        roles = [
            grant.role
            for grant in self.grants
            if grant.covers(workflow) and self.includes(grant.who, person)
        ]
        return max(roles, default=None)

    def may(self, role: Role, person: str, workflow: str) -> bool:
        """Whether a person has at least a role in a workflow."""
        found = self.role_of(person, workflow)
        return found is not None and found >= role

    def holders(self, role: Role, workflow: str) -> tuple[str, ...]:
        """Who has at least a role in a workflow: people by name, `*` if everybody has it.

        A group of which not all members are known stands beside those who are, as `@GROUP`.
        """
        named = {
            person
            for grant in self.grants
            if grant.role >= role and grant.covers(workflow)
            for person in self.listed(grant.who)
        }
        return (EVERYBODY,) if EVERYBODY in named or not self.grants else tuple(sorted(named))

    def people(self, name: str) -> frozenset[str]:
        """The people of a group, named with or without `@`; of another name, the person of that name."""
        return self.groups.get(name.removeprefix("@"), frozenset((name,)))

    def listed(self, name: str) -> frozenset[str]:
        """The people of a name, and `@GROUP` beside them if the group may have others as well."""
        group = name.removeprefix("@")
        others = (f"@{group}",) if self.has_logins and group in self.groups else ()
        return self.people(name).union(others)

    def includes(self, who: str, person: str) -> bool:
        """Whether `who` of a grant stands for a person: by name, as a group or as everybody."""
        return who == EVERYBODY or person in self.people(who)


def parse_role(text: object) -> Role:
    """The role of that name; ValueError lists the roles."""
    for role in Role:
        if str(role) == text:
            return role
    raise ValueError(f"{text!r} is not a role: {', '.join(map(str, Role))}")


def pattern_covers(wide: str, narrow: str) -> bool:
    """Whether every name that matches `narrow` also matches `wide`; False where that can't be told easily."""
    if wide in (EVERYBODY, narrow):
        return True
    start = wide.removesuffix("*")
    return start != wide and not _SPECIAL & {*start} and narrow.startswith(start)


def matches_any(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of the patterns, such as `flights*`; upper and lower case differ."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
