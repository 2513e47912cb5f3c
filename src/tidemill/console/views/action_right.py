"""Whether who looks may do something, and else who may."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission, holders_text
from tidemill.project.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRight:
    """Whether who looks may do what needs a permission; `holders` says who may, in words."""

    permission: Permission
    is_allowed: bool
    holders: str


def action_right(project: Project, permission: Permission) -> ActionRight:
    """Look up whether who looks may do something."""
    space = project.workspace
    return ActionRight(
        permission=permission,
        is_allowed=space.may(permission),
        holders=holders_text(permission, space.declared.name, space.grants),
    )
