"""Describe an actor: its roles, its groups and what it may do in a workflow."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Actor, Permission, find_refusal
from tidemill.governance.roles import Grant, Grants, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An actor in a `workflow`: its role there (None without one), and what it `may` do.

    `grants` are the entries of the settings that give it roles, in any workflow; without
    `roles_are_declared` everybody is an admin. Through a token it may do less than its role allows.
    """

    actor: Actor
    workflow: str
    role: Role | None
    grants: tuple[Grant, ...]
    groups: tuple[str, ...]
    roles_are_declared: bool
    may: tuple[Permission, ...]


def describe_identity(actor: Actor, grants: Grants, workflow: str) -> Identity:
    """Describe an actor in a workflow."""
    return Identity(
        actor=actor,
        workflow=workflow,
        role=grants.role_of(actor.name, workflow),
        grants=tuple(grant for grant in grants.grants if grants.includes(grant.who, actor.name)),
        groups=tuple(sorted(name for name, who in grants.groups.items() if actor.name in who)),
        roles_are_declared=grants.are_declared,
        may=tuple(p for p in Permission if find_refusal(p, actor, workflow, grants) is None),
    )
