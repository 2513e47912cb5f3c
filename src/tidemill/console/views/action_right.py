"""Whether who looks may do something, and else who may."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission, holders_and_scope
from tidemill.project.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRight:
    """Whether who looks may do what needs a permission, else why not (`refusal`).

    `holders` says whose role allows it and which scope a token needs, in words.
    """

    permission: Permission
    is_allowed: bool
    holders: str
    refusal: str = ""


def action_right(project: Project, permission: Permission) -> ActionRight:
    """Look up whether who looks may do something."""
    space = project.workspace
    publishes = permission in (Permission.RUN, Permission.PROMOTE)
    refusal = space.publishing_refusal(permission) if publishes else space.refusal(permission)
    return ActionRight(
        permission=permission,
        is_allowed=refusal is None,
        refusal=refusal or "",
        holders=holders_and_scope(permission, space.declared.name, space.grants),
    )
