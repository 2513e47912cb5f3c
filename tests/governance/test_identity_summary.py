"""What an actor is, and may do."""

from __future__ import annotations

from tidemill.governance.identity_summary import describe_identity
from tidemill.governance.permissions import Actor, Permission
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.access_token import TokenScope

LEADS = Grant(who="@leads", role=Role.REVIEWER, workflows=("fl*",))
EVERYBODY = Grant(who="*", role=Role.VIEWER)
GRANTS = Grants(
    grants=(Grant(who="boss", role=Role.ADMIN), LEADS, EVERYBODY),
    groups={"leads": frozenset(("ana",)), "night": frozenset(("ana",)), "day": frozenset(("ben",))},
)

# What a viewer may.
READING = (Permission.READ, Permission.EXPORT_ROWS, Permission.EXPORT_AUDIT)


def test_grants_and_groups_of_a_person() -> None:
    found = describe_identity(Actor(name="ana"), GRANTS, "flights")
    assert (found.role, found.grants, found.groups) == (
        Role.REVIEWER,
        (LEADS, EVERYBODY),
        ("leads", "night"),
    )
    assert Permission.DELIVER in found.may
    assert Permission.MANAGE_TOKENS not in found.may
    elsewhere = describe_identity(Actor(name="ana"), GRANTS, "bakery")
    assert (elsewhere.role, elsewhere.may) == (Role.VIEWER, READING)


def test_scopes_limit_what_is_allowed() -> None:
    actor = Actor(name="ana", token="t1", scopes=frozenset((TokenScope.REVIEW,)))
    found = describe_identity(actor, GRANTS, "flights")
    assert found.role is Role.REVIEWER
    assert set(found.may) == {
        *READING,
        Permission.RELEASE_ROWS,
        Permission.DROP_ROWS,
        Permission.REVIEW,
    }


def test_without_declared_roles_everybody_is_an_admin() -> None:
    found = describe_identity(Actor(name="ana"), Grants(), "flights")
    assert (found.role, found.roles_are_declared, found.may) == (
        Role.ADMIN,
        False,
        tuple(Permission),
    )
