"""Roles are ordered, and count for the workflows that their patterns match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.roles import (
    Grant,
    Grants,
    Role,
    matches_any,
    parse_role,
    pattern_covers,
)

PEOPLE = ("ana", "ben", "eve")
WORKFLOWS = ("flights", "flights-eu", "bakery")
PATTERNS = ("*", "flights", "flights*", "bake?y", "Flights", "[fb]*")
GROUPS = {"leads": frozenset(("ana", "ben")), "all": frozenset(PEOPLE)}
grants_lists = st.lists(
    st.builds(
        Grant,
        who=st.sampled_from((*PEOPLE, "@leads", "@all", "*")),
        role=st.sampled_from(Role),
        workflows=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=6,
)
people, workflows = st.sampled_from((*PEOPLE, "nobody")), st.sampled_from(WORKFLOWS)


def test_roles_are_ordered() -> None:
    assert [str(role) for role in sorted(Role)] == ["viewer", "operator", "reviewer", "admin"]
    assert parse_role("reviewer") is Role.REVIEWER
    with pytest.raises(
        ValueError, match="'owner' is not a role: viewer, operator, reviewer, admin"
    ):
        parse_role("owner")


def test_without_grants_everybody_is_an_admin() -> None:
    grants = Grants()
    assert not grants.are_declared
    assert grants.role_of("anybody", "flights") is Role.ADMIN
    assert grants.holders(Role.ADMIN, "flights") == ("*",)


@given(grants_lists, people, workflows)
def test_a_role_includes_the_ones_below_it(grants: list[Grant], who: str, flow: str) -> None:
    known = Grants(grants=tuple(grants), groups=GROUPS)
    allowed = [known.may(role, who, flow) for role in Role]
    assert allowed == sorted(allowed, reverse=True)
    own = known.role_of(who, flow)
    assert sum(allowed) == (0 if own is None else own)


@given(grants_lists, people, workflows)
def test_a_role_comes_from_a_grant_of_the_person(grants: list[Grant], who: str, flow: str) -> None:
    """No more than the highest, and no less than any of the grants that name the person."""
    own = [
        grant.role
        for grant in grants
        if (grant.who in (who, "*") or who in GROUPS.get(grant.who[1:], ()))
        and any(matches_any(flow, [pattern]) for pattern in grant.workflows)
    ]
    known = Grants(grants=tuple(grants), groups=GROUPS)
    assert known.role_of(who, flow) == max(own, default=None)


@given(grants_lists, people, workflows, st.sampled_from(Role))
def test_holders_are_those_who_may(grants: list[Grant], who: str, flow: str, role: Role) -> None:
    known = Grants(grants=tuple(grants), groups=GROUPS)
    holders = known.holders(role, flow)
    assert (who in holders or holders == ("*",)) == known.may(role, who, flow)


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", ("flights", "flights-eu", "bakery")),
        ("flights", ("flights",)),
        ("flights*", ("flights", "flights-eu")),
        ("Flights", ()),
        ("bake?y", ("bakery",)),
        ("", ()),
    ],
)
def test_patterns(pattern: str, matched: tuple[str, ...]) -> None:
    assert tuple(flow for flow in WORKFLOWS if matches_any(flow, [pattern])) == matched


@given(
    st.text("ab*?[]!-", max_size=4), st.text("ab*?[]!-", max_size=4), st.text("ab*[", max_size=4)
)
def test_a_pattern_that_covers_another_matches_what_it_matches(
    wide: str, narrow: str, name: str
) -> None:
    if pattern_covers(wide, narrow) and matches_any(name, [narrow]):
        assert matches_any(name, [wide])


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        ("*", "f*", True),
        ("flights", "flights", True),
        ("flights*", "flights-eu*", True),
        ("flights*", "f*", False),
        ("flights", "flights*", False),
        # True, but not easily told.
        ("f?", "fa", False),
        ("[f]*", "f", False),
    ],
)
def test_which_patterns_cover_others(wide: str, narrow: str, covered: bool) -> None:
    assert pattern_covers(wide, narrow) == covered
