"""An actor may do what both its role and the scopes of its token allow, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.permissions import (
    REQUIREMENTS,
    Actor,
    ActorKind,
    Permission,
    allows,
    covers_workflows,
    find_refusal,
    has_role,
    holders_and_scope,
    holders_text,
)
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.access_token import TokenScope

FLOW = "flights"
scope_sets = st.none() | st.frozensets(st.sampled_from(TokenScope))


def grants_of(role: Role | None) -> Grants:
    boss = Grant(who="boss", role=Role.ADMIN)
    return Grants(grants=(boss, *([Grant(who="ana", role=role)] if role else [])))


def token(scopes: frozenset[TokenScope] | None, workflows: tuple[str, ...] = ("*",)) -> Actor:
    return Actor(name="ana", kind=ActorKind.TOKEN, token="t1", scopes=scopes, workflows=workflows)


def test_every_permission_has_a_requirement() -> None:
    assert set(REQUIREMENTS) == set(Permission)
    assert TokenScope.PREDICT not in {needed.scope for needed in REQUIREMENTS.values()}


@given(
    st.sampled_from(Permission),
    st.none() | st.sampled_from(Role),
    scope_sets,
    st.sampled_from((("*",), ("flights",), ("fl*", "x"), ("bakery",), ())),
)
def test_a_token_never_grants_more_than_role_or_scopes(
    permission: Permission,
    role: Role | None,
    scopes: frozenset[TokenScope] | None,
    workflows: tuple[str, ...],
) -> None:
    grants = grants_of(role)
    refusal = find_refusal(permission, token(scopes, workflows), FLOW, grants)
    by_role = find_refusal(permission, Actor(name="ana"), FLOW, grants)
    by_scope = find_refusal(permission, token(scopes, workflows), FLOW, Grants())
    assert (refusal is None) == (by_role is None and by_scope is None)
    needed = REQUIREMENTS[permission]
    assert (by_role is None) == (role is not None and role >= needed.role)
    here = any(pattern in ("*", "flights", "fl*") for pattern in workflows)
    assert (by_scope is None) == (here and allows(scopes, needed.scope))


@given(st.sampled_from(Role), st.none() | st.sampled_from(Role), scope_sets)
def test_a_token_has_a_role_as_far_as_it_may_do_what_needs_it(
    least: Role, role: Role | None, scopes: frozenset[TokenScope] | None
) -> None:
    actor, grants = token(scopes), grants_of(role)
    may_do = any(
        needed.role >= least and allows(scopes, needed.scope) for needed in REQUIREMENTS.values()
    )
    assert has_role(least, actor, FLOW, grants) == (may_do and role is not None and role >= least)
    assert not has_role(least, token(scopes, ("bakery",)), FLOW, grants)


def test_a_scope_to_read_gives_what_viewers_have() -> None:
    reading = token(frozenset({TokenScope.READ}))
    assert has_role(Role.VIEWER, reading, FLOW, grants_of(Role.ADMIN))
    assert not has_role(Role.OPERATOR, reading, FLOW, grants_of(Role.ADMIN))
    assert has_role(Role.ADMIN, Actor(name="ana"), FLOW, Grants())


@given(scope_sets, st.sampled_from(TokenScope))
def test_scopes_include_only_reading(
    scopes: frozenset[TokenScope] | None, needed: TokenScope
) -> None:
    if scopes is None or needed in scopes:
        assert allows(scopes, needed)
    else:
        assert allows(scopes, needed) == (
            needed is TokenScope.READ and scopes - {TokenScope.PREDICT} != set()
        )


@pytest.mark.parametrize(
    ("actor", "permission", "role", "message"),
    [
        # The role of another person.
        (Actor(name="ana"), Permission.DELIVER, Role.OPERATOR,
         "ana may not move what is live in the workflow flights: that needs the role reviewer, and ana is "
         "operator; it is the role of boss"),
        (Actor(name="ana"), Permission.READ, None,
         "ana may not read in the workflow flights: that needs the role viewer, and ana has no role; it is "
         "the role of boss"),
        # A scope that the token hasn't, though the role would do.
        (token(frozenset((TokenScope.RUN, TokenScope.READ))), Permission.DELIVER, Role.ADMIN,
         "ana may not move what is live in the workflow flights: the token t1 has only the scope read, "
         "run (needs deliver)"),
        # A token for another workflow.
        (token(frozenset((TokenScope.RUN,)), ("bakery", "b*")), Permission.RUN, Role.ADMIN,
         "ana may not run in the workflow flights: the token t1 is for bakery, b*"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_needed_and_who_has_it(
    actor: Actor, permission: Permission, role: Role | None, message: str
) -> None:
    assert find_refusal(permission, actor, FLOW, grants_of(role)) == message


def test_a_refusal_where_nobody_or_many_may() -> None:
    only_viewers = Grants(grants=(Grant(who="*", role=Role.VIEWER),))
    refusal = find_refusal(Permission.ERASE, Actor(name="ana"), FLOW, only_viewers)
    assert refusal is not None
    assert 'nobody has it: add one to [tool.tidemill.roles], such as ana = "admin"' in refusal
    others = tuple(Grant(who=f"p{n}", role=Role.ADMIN) for n in range(10))
    refusal = find_refusal(Permission.ERASE, Actor(name="ana"), FLOW, Grants(grants=others))
    assert refusal is not None
    assert refusal.endswith("p0, p1, p2, p3, p4, p5, p6, p7 and 2 more")


@pytest.mark.parametrize(
    ("workflows", "scoped", "pattern", "covered"),
    [
        (("*",), ("*",), "bakery", True),
        (("flights*",), ("*",), "flights-eu", True),
        (("flights*",), ("*",), "*", False),
        # An admin's own token doesn't make tokens for more than it is for.
        (("*",), ("flights",), "bakery", False),
        (("*",), ("flights",), "flights", True),
    ],
)
def test_who_may_make_tokens_for_which_workflows(
    workflows: tuple[str, ...], scoped: tuple[str, ...], pattern: str, covered: bool
) -> None:
    own = Grant(who="ana", role=Role.ADMIN, workflows=workflows)
    grants = Grants(grants=(own, Grant(who="*", role=Role.REVIEWER)))
    actor = Actor(name="ana", workflows=scoped)
    assert covers_workflows(actor, pattern, grants) == covered
    assert not covers_workflows(Actor(name="ben"), pattern, grants)
    assert covers_workflows(actor, pattern, Grants()) == covers_workflows(
        actor, pattern, Grants(grants=(Grant(who="*", role=Role.ADMIN),))
    )


def test_who_may_do_something_is_said_by_role_and_by_name() -> None:
    team = grants_of(Role.REVIEWER)
    assert holders_text(Permission.DELIVER, FLOW, team) == (
        "ana, boss (the role reviewer or a higher one in flights)"
    )
    assert holders_text(Permission.WAIVE, FLOW, team) == "boss (the role admin in flights)"
    everyone = Grants(grants=(Grant(who="*", role=Role.OPERATOR),))
    assert holders_text(Permission.RUN, FLOW, everyone).startswith("everybody (the role operator")
    assert holders_text(Permission.WAIVE, FLOW, everyone).startswith("nobody so far (")
    assert holders_and_scope(Permission.WAIVE, FLOW, team) == (
        "boss (the role admin in flights); a token needs the scope admin"
    )
    assert holders_text(Permission.RUN, FLOW, Grants()) == (
        "everybody, because the project declares no roles"
    )
