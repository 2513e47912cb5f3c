"""Who looks and may do what, the people, roles and groups, and where the settings are."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import REQUIREMENTS, Permission, holders_text
from tidemill.governance.roles import Grant
from tidemill.ledger.access_token import TokenScope
from tidemill.project.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLine:
    """A role of a person, a group (`@GROUP`) or everybody (`*`), in workflows whose names match."""

    who: str
    role: str
    workflows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """A group, and its people as far as the settings name them."""

    name: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionLine:
    """What can be done, what it needs, whether who looks may do it, and who may, in words."""

    permission: Permission
    role: str
    scope: TokenScope
    is_allowed: bool
    holders: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoLooks:
    """Who looks, how that is known, and by which entries it has which role; `scopes` limit a token.

    `role` is "" for somebody who has none.
    """

    name: str
    origin: str
    role: str
    token: str
    scopes: tuple[str, ...] | None
    workflows: tuple[str, ...]
    groups: tuple[str, ...]
    grants: tuple[GrantLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsView:
    """Who looks and what that allows, all roles and groups, and the files that say so.

    Without `roles_are_declared` everybody is an admin. People log in at the provider `issuer`, if there is
    one; only they and holders of tokens may act if that `is_required`.
    """

    who: WhoLooks
    permissions: tuple[PermissionLine, ...]
    roles_are_declared: bool
    grants: tuple[GrantLine, ...]
    groups: tuple[GroupLine, ...]
    issuer: str
    is_required: bool
    workflow: str
    file: str
    rules_file: str
    home: str


def show_settings(project: Project) -> SettingsView:
    """Show who looks and what that allows, the people with their roles and groups, and where files are."""
    space, found = project.workspace, project.identity
    space.require(Permission.READ)
    settings, actor, name = space.settings, found.actor, space.declared.name
    grants, oidc = space.grants, settings.oidc
    return SettingsView(
        who=WhoLooks(
            name=actor.name,
            origin=actor.origin,
            role="" if found.role is None else str(found.role),
            token=actor.token,
            scopes=None if actor.scopes is None else tuple(sorted(actor.scopes)),
            workflows=actor.workflows,
            groups=found.groups,
            grants=tuple(map(_line, found.grants)),
        ),
        permissions=tuple(
            PermissionLine(
                permission=each,
                role=str(REQUIREMENTS[each].role),
                scope=REQUIREMENTS[each].scope,
                is_allowed=each in found.may,
                holders=holders_text(each, name, grants),
            )
            for each in Permission
        ),
        roles_are_declared=found.roles_are_declared,
        grants=tuple(map(_line, grants.grants)),
        groups=tuple(
            GroupLine(name=group, people=tuple(sorted(people)))
            for group, people in sorted(grants.groups.items())
        ),
        issuer="" if oidc is None else oidc.issuer,
        is_required=oidc is not None and oidc.required,
        workflow=settings.workflow,
        file=str(settings.file),
        rules_file=str(space.rules_path) if space.has_rules else "",
        home=str(space.home),
    )


def _line(grant: Grant) -> GrantLine:
    return GrantLine(who=grant.who, role=str(grant.role), workflows=grant.workflows)
