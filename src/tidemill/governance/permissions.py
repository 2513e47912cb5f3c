"""Decide whether an actor may do something, by role and by the scopes of a token."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tidemill.governance.roles import EVERYBODY, Grants, Role, matches_any
from tidemill.ledger.access_token import Scope


class ActorKind(StrEnum):
    """How the identity of an actor was found out."""

    USER = "user"
    TOKEN = "token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The authenticated person or program that acts.

    Through a `token` (its id) it may do what both its role and the `scopes` allow, in the workflows that
    match a pattern. `scopes` is None where nothing but the role limits it. `origin` says how the identity
    was found out.
    """

    name: str
    kind: ActorKind = ActorKind.USER
    token: str = ""
    scopes: frozenset[Scope] | None = None
    workflows: tuple[str, ...] = ("*",)
    origin: str = ""


class Permission(StrEnum):
    """An action that needs a role; the value completes "may not ..."."""

    READ = "read"
    PLAN = "plan"
    RUN = "run"
    PROMOTE = "promote"
    RESTORE = "restore a delivered table"
    REPAIR = "repair stored objects"
    CREATE_ENVIRONMENT = "create an environment"
    SERVE = "serve endpoints"
    CORRECT_ROWS = "correct quarantined rows"
    RELEASE_ROWS = "release quarantined rows"
    DROP_ROWS = "drop quarantined rows"
    REVIEW = "decide a review"
    DELIVER = "move what is live"
    STEER_ROLLOUT = "hold or resume a rollout"
    WAIVE = "waive a rule"
    ERASE = "erase a subject"
    MANAGE_TOKENS = "manage tokens"
    DROP_ENVIRONMENT = "drop an environment"
    FORGET_STAGES = "remove what a stage published"
    ADOPT_WORKFLOW = "take over the state of another workflow"
    EXPORT_LEDGER = "export the ledger"
    MANAGE_AUDIT = "manage the keys of the audit"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an action needs: a role, and through a token a scope."""

    role: Role
    scope: Scope


def _requirements(
    role: Role, scope: Scope, *permissions: Permission
) -> dict[Permission, Requirement]:
    return dict.fromkeys(permissions, Requirement(role, scope))


# What each action needs.
REQUIREMENTS: Mapping[Permission, Requirement] = {
    **_requirements(Role.VIEWER, Scope.READ, Permission.READ),
    **_requirements(
        Role.OPERATOR,
        Scope.RUN,
        Permission.PLAN,
        Permission.RUN,
        Permission.PROMOTE,
        Permission.RESTORE,
        Permission.REPAIR,
        Permission.CREATE_ENVIRONMENT,
        Permission.SERVE,
        Permission.CORRECT_ROWS,
    ),
    **_requirements(
        Role.REVIEWER,
        Scope.REVIEW,
        Permission.RELEASE_ROWS,
        Permission.DROP_ROWS,
        Permission.REVIEW,
    ),
    **_requirements(Role.REVIEWER, Scope.DELIVER, Permission.DELIVER, Permission.STEER_ROLLOUT),
    **_requirements(
        Role.ADMIN,
        Scope.ADMIN,
        Permission.WAIVE,
        Permission.ERASE,
        Permission.MANAGE_TOKENS,
        Permission.DROP_ENVIRONMENT,
        Permission.FORGET_STAGES,
        Permission.ADOPT_WORKFLOW,
        Permission.EXPORT_LEDGER,
        Permission.MANAGE_AUDIT,
    ),
}


def find_refusal(permission: Permission, actor: Actor, workflow: str, grants: Grants) -> str | None:
    """Why an actor may not do something in a workflow, and who may; None if it may."""
    needed = REQUIREMENTS[permission]
    what = f"{actor.name} may not {permission} in the workflow {workflow}"
    if not allows(actor.scopes, needed.scope):
        scopes = _listed(sorted(actor.scopes or ()))
        return (
            f"{what}: that needs the scope {needed.scope}, and the token {actor.token} has {scopes}"
        )
    if not matches_any(workflow, actor.workflows):
        return f"{what}: the token {actor.token} is for {_listed(actor.workflows)}"
    if grants.may(needed.role, actor.name, workflow):
        return None
    own = grants.role_of(actor.name, workflow)
    has = "has no role" if own is None else f"is {own}"
    who = _who_may(needed.role, workflow, grants)
    return f"{what}: that needs the role {needed.role}, and {actor.name} {has}; {who}"


def allows(scopes: Collection[Scope] | None, needed: Scope) -> bool:
    """Whether scopes include one; each but `predict` includes `read`, and None all."""
    if scopes is None:
        return True
    return needed in scopes or (needed is Scope.READ and bool({*scopes} - {Scope.PREDICT}))


def _who_may(role: Role, workflow: str, grants: Grants) -> str:
    holders = grants.holders(role, workflow)
    if not holders:
        return f'nobody has it: add one to [tool.tidemill.roles], such as ana = "{role}"'
    return f"it is the role of {'everybody' if holders == (EVERYBODY,) else _listed(holders)}"


def _listed(names: Collection[str]) -> str:
    shown = [*names]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
