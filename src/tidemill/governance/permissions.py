"""Decide whether an actor may do something, by role and by the scopes of a token."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.roles import EVERYBODY, Grant, Grants, Role, matches_any, pattern_covers
from tidemill.ledger.access_token import TokenScope


class ActorKind(StrEnum):
    """How the identity of an actor was found out."""

    USER = "user"
    TOKEN = "token"
    LOGIN = "login"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The authenticated person or program that acts.

    Through a `token` (its id) it may do what both its role and the `scopes` allow, in the workflows that
    match a pattern. `scopes` is None where nothing but the role limits it. The token opens `endpoints` (all
    if there are none) until it `expires` (Unix seconds), if ever. `origin` says how the identity was found
    out; an actor `is_local` if it acts in this process, and not over a network. `vouched_by` are the others
    who made its token or keep its login, and so could act in its name. An identity provider,
    or a proxy, stated its `groups`.
    """

    name: str
    kind: ActorKind = ActorKind.USER
    token: str = ""
    scopes: frozenset[TokenScope] | None = None
    workflows: tuple[str, ...] = ("*",)
    origin: str = ""
    is_local: bool = True
    vouched_by: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    expires: float | None = None
    groups: frozenset[str] = frozenset()


class Permission(StrEnum):
    """An action that needs a role; the value completes "may not ..."."""

    READ = "read"
    EXPORT_ROWS = "export quarantined rows"
    EXPORT_AUDIT = "export the audit trail"
    RUN = "run"
    SUPERVISE = "supervise a project"
    PROMOTE = "promote"
    RESTORE = "restore a delivered table"
    REPAIR = "repair stored objects"
    SWEEP = "remove what is no longer needed"
    PIN_DATA = "pin stored data"
    CREATE_ENVIRONMENT = "create an environment"
    SERVE = "serve endpoints"
    CORRECT_ROWS = "correct quarantined rows"
    MANAGE_INCIDENTS = "manage incidents and their alerts"
    PAUSE_SCHEDULE = "pause or resume a schedule"
    RELEASE_ROWS = "release quarantined rows"
    DROP_ROWS = "drop quarantined rows"
    REVIEW = "decide a review"
    DELIVER = "move what is live"
    STEER_ROLLOUT = "hold or resume a rollout"
    WAIVE = "waive a rule"
    ERASE = "erase a subject"
    UNPIN_DATA = "remove a pin"
    MANAGE_TOKENS = "manage tokens"
    DROP_ENVIRONMENT = "drop an environment"
    FORGET_STAGES = "remove what a stage published"
    ADOPT_WORKFLOW = "take over the state of another workflow"
    MANAGE_HOME = "back up or restore a home"
    MANAGE_LEDGER = "export or rebuild the ledger"
    MANAGE_AUDIT = "manage the keys of the audit"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an action needs: a role, and through a token a scope."""

    role: Role
    scope: TokenScope


def _requirements(
    role: Role, scope: TokenScope, *permissions: Permission
) -> dict[Permission, Requirement]:
    return dict.fromkeys(permissions, Requirement(role, scope))


# What each action needs.
REQUIREMENTS: Mapping[Permission, Requirement] = {
    **_requirements(
        Role.VIEWER,
        TokenScope.READ,
        Permission.READ,
        Permission.EXPORT_ROWS,
        Permission.EXPORT_AUDIT,
    ),
    **_requirements(
        Role.OPERATOR,
        TokenScope.RUN,
        Permission.RUN,
        Permission.SUPERVISE,
        Permission.PROMOTE,
        Permission.RESTORE,
        Permission.REPAIR,
        Permission.SWEEP,
        Permission.PIN_DATA,
        Permission.CREATE_ENVIRONMENT,
        Permission.SERVE,
        Permission.CORRECT_ROWS,
        Permission.MANAGE_INCIDENTS,
        Permission.PAUSE_SCHEDULE,
    ),
    **_requirements(
        Role.REVIEWER,
        TokenScope.REVIEW,
        Permission.RELEASE_ROWS,
        Permission.DROP_ROWS,
        Permission.REVIEW,
    ),
    **_requirements(
        Role.REVIEWER, TokenScope.DELIVER, Permission.DELIVER, Permission.STEER_ROLLOUT
    ),
    **_requirements(
        Role.ADMIN,
        TokenScope.ADMIN,
        Permission.WAIVE,
        Permission.ERASE,
        Permission.UNPIN_DATA,
        Permission.MANAGE_TOKENS,
        Permission.DROP_ENVIRONMENT,
        Permission.FORGET_STAGES,
        Permission.ADOPT_WORKFLOW,
        Permission.MANAGE_HOME,
        Permission.MANAGE_LEDGER,
        Permission.MANAGE_AUDIT,
    ),
}


def find_refusal(permission: Permission, actor: Actor, workflow: str, grants: Grants) -> str | None:
    """Why an actor may not do something in a workflow, and who may; None if it may."""
    needed = REQUIREMENTS[permission]
    what = f"{actor.name} may not {permission} in the workflow {workflow}"
    if not allows(actor.scopes, needed.scope):
        scopes = _listed(sorted(actor.scopes or ()))
        return f"{what}: the token {actor.token} has only the scope {scopes} (needs {needed.scope})"
    if not matches_any(workflow, actor.workflows):
        return f"{what}: the token {actor.token} is for {_listed(actor.workflows)}"
    if grants.may(needed.role, actor.name, workflow):
        return None
    own = grants.role_of(actor.name, workflow)
    has = "has no role" if own is None else f"is {own}"
    who = _who_may(needed.role, workflow, grants)
    return f"{what}: that needs the role {needed.role}, and {actor.name} {has}; {who}"


def holders_text(permission: Permission, workflow: str, grants: Grants) -> str:
    """Who may do something in a workflow, in words: by the role that it needs, and by name."""
    role = REQUIREMENTS[permission].role
    if not grants.are_declared:
        return "everybody, because the project declares no roles"
    least = f"the role {role}" if role is Role.ADMIN else f"the role {role} or a higher one"
    holders = grants.holders(role, workflow)
    who = "everybody" if holders == (EVERYBODY,) else _listed(holders) or "nobody so far"
    return f"{who} ({least} in {workflow})"


def has_role(role: Role, actor: Actor, workflow: str, grants: Grants) -> bool:
    """Whether an actor has at least a role, and through a token may do something that needs as much."""
    needed = {each.scope for each in REQUIREMENTS.values() if each.role >= role}
    return (
        any(allows(actor.scopes, scope) for scope in needed)
        and matches_any(workflow, actor.workflows)
        and grants.may(role, actor.name, workflow)
    )


def holders_and_scope(permission: Permission, workflow: str, grants: Grants) -> str:
    """Who may do something in a workflow, in words, and which scope a token needs for it."""
    scope = REQUIREMENTS[permission].scope
    return f"{holders_text(permission, workflow, grants)}; a token needs the scope {scope}"


def covers_workflows(actor: Actor, pattern: str, grants: Grants) -> bool:
    """Whether an actor is an admin in every workflow whose name matches a pattern."""
    wide = [
        mine
        for grant in grants.grants or (Grant(who=EVERYBODY, role=Role.ADMIN),)
        if grant.role is Role.ADMIN and grants.includes(grant.who, actor.name)
        for mine in grant.workflows
    ]
    return any(pattern_covers(mine, pattern) for mine in wide) and any(
        pattern_covers(mine, pattern) for mine in actor.workflows
    )


def allows(scopes: Collection[TokenScope] | None, needed: TokenScope) -> bool:
    """Whether scopes include one; each but `predict` includes `read`, and None all."""
    if scopes is None:
        return True
    return needed in scopes or (
        needed is TokenScope.READ and bool({*scopes} - {TokenScope.PREDICT})
    )


def _who_may(role: Role, workflow: str, grants: Grants) -> str:
    holders = grants.holders(role, workflow)
    if not holders:
        return f'nobody has it: add one to [tool.tidemill.roles], such as ana = "{role}"'
    return f"it is the role of {'everybody' if holders == (EVERYBODY,) else _listed(holders)}"


def _listed(names: Collection[str]) -> str:
    shown = [*names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
