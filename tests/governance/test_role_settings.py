"""Roles and groups in the settings, and what is refused there."""

from __future__ import annotations

import re
import tomllib

import pytest

from tidemill.core.errors import UsageError
from tidemill.governance.role_settings import parse_grants, parse_trusted
from tidemill.governance.roles import Grants, Role

PLACE = "pyproject.toml: [tool.tidemill"


def grants_of(text: str) -> Grants:
    table = tomllib.loads(text)
    return parse_grants(table.get("roles"), table.get("groups"), PLACE)


def test_people_and_groups_get_roles() -> None:
    grants = grants_of("""
        [roles]
        ana = "admin"
        "@ops-leads" = { role = "reviewer", workflows = ["flights*"] }
        "*" = "viewer"

        [groups]
        ops-leads = ["ben", "@night"]
        night = ["carla", "uid:1234"]
    """)
    roles = {
        who: grants.role_of(who, "flights") for who in ("ana", "ben", "carla", "uid:1234", "x")
    }
    assert roles == {
        "ana": Role.ADMIN,
        "ben": Role.REVIEWER,
        "carla": Role.REVIEWER,
        "uid:1234": Role.REVIEWER,
        "x": Role.VIEWER,
    }
    assert grants.role_of("ben", "bakery") is Role.VIEWER
    assert grants.groups["ops-leads"] == {"ben", "carla", "uid:1234"}


def test_groups_in_groups_take_no_time() -> None:
    # Counted along every path, the members of the first one would be 2 ** 300.
    groups = {f"g{n}": [f"@g{n + 1}", f"@g{n + 1}", f"p{n}"] for n in range(300)}
    grants = parse_grants({"ana": "admin"}, {**groups, "g300": ["last"]}, "[tool.tidemill")
    assert grants.groups["g0"] == {"last", *(f"p{n}" for n in range(300))}


def test_a_provider_states_further_members() -> None:
    roles = {"ana": "admin", "@leads": "reviewer"}
    groups: dict[str, list[str]] = {"leads": ["ben", "@night"], "night": []}
    with pytest.raises(UsageError, match=r"night = \[\] is not a list of people and groups"):
        parse_grants(roles, groups, PLACE)
    grants = parse_grants(roles, groups, PLACE, has_logins=True)
    assert grants.within == {"leads": {"night"}, "night": frozenset()}
    assert grants.holders(Role.REVIEWER, "flights") == ("@leads", "ana", "ben")
    for stated in ({"leads"}, {"night", "other"}):
        joined = grants.with_member("carla", frozenset(stated))
        assert joined.role_of("carla", "flights") is Role.REVIEWER
        assert joined.people("leads") == {"ben", "carla"}
    for stated in (set[str](), {"other"}, {"admin", "*", "@leads", "ana"}):
        assert grants.with_member("carla", frozenset(stated)).role_of("carla", "flights") is None
    # Where only a server knows of members, reviews ask those who are listed.
    served = parse_grants(roles, groups, PLACE, may_be_empty=True)
    assert served.holders(Role.REVIEWER, "flights") == ("ana", "ben")
    # Without such a provider nobody joins.
    own = parse_grants(roles, {"leads": ["ben"]}, PLACE)
    assert own.with_member("carla", frozenset(("leads",))) is own


def test_no_table_declares_no_roles() -> None:
    assert not parse_grants(None, None, PLACE).are_declared


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('roles = "admin"', "[tool.tidemill.roles] = 'admin' is not a table"),
        ("[roles]", "[tool.tidemill.roles] is empty, so nobody could do anything"),
        ('[groups]\na = ["b"]', "[tool.tidemill.groups] needs roles as well"),
        ('[roles]\nana = "reviewer"', "names no admin, so nobody could create tokens"),
        ('[roles]\nana = "owner"', "ana: 'owner' is not a role: viewer, operator, reviewer, admin"),
        ("[roles]\nana = 4", "ana = 4 is not a role: write"),
        ('[roles]\nana = { workflows = ["a"] }', "ana: None is not a role"),
        ('[roles]\nana = { role = "admin", flows = ["a"] }', "ana.flows: did you mean 'workflows'?"),
        ('[roles]\nana = { role = "admin", workflows = [] }', "workflows = [] is not a list of patterns"),
        ('[roles]\nana = { role = "admin", workflows = "a*" }', "workflows = 'a*' is not a list"),
        ('[roles]\nana = { role = "admin", workflows = [" "] }', "is not a list of patterns"),
        ('[roles]\n"" = "admin"', "'' is not the name of a person or a group"),
        ('[roles]\nexpiry = "admin"', "'expiry' stands for something else than a person"),
        ('[roles]\na = "admin"\n[groups]\ngates = ["a"]', "'gates' stands for something else than a person"),
        ('[roles]\na = "admin"\n[groups]\nops = ["rollout"]', "ops: 'rollout' stands for something else"),
        ('[roles]\n" ana" = "admin"', "' ana' has spaces around it"),
        ('[roles]\n"@ops-led" = "admin"\n[groups]\nops-leads = ["a"]',
         "there is no group 'ops-led' (did you mean 'ops-leads'?)"),
        ('[roles]\nops-leads = "admin"\n[groups]\nops-leads = ["a"]', "is a group: write @ops-leads"),
        ('[roles]\na = "admin"\n[groups]\nops = []', "ops = [] is not a list of people and groups"),
        ('[roles]\na = "admin"\n[groups]\nops = "ana"', "ops = 'ana' is not a list of people"),
        ('[roles]\na = "admin"\n[groups]\nops = [1]', "ops: 1 is not the name of a person"),
        ('[roles]\na = "admin"\n[groups]\nops = ["*"]', "ops: '*' is no member"),
        ('[roles]\na = "admin"\n[groups]\n"@ops" = ["a"]', "'@ops': define a group without @"),
        ('[roles]\na = "admin"\n[groups]\nops = ["@opt"]', "there is no group 'opt' (did you mean 'ops'?)"),
        ('[roles]\na = "admin"\n[groups]\nops = ["led"]\nled = ["a"]', "led is a group: write @led"),
        ('[roles]\na = "admin"\n[groups]\nx = ["@y"]\ny = ["@z", "a"]\nz = ["@y"]',
         "y contains itself: y -> z -> y"),
        ('[roles]\na = "admin"\n[groups]\nx = ["@x"]', "x contains itself: x -> x"),
        ('[roles]\na = "admin"\n[groups.x]\nmembers = ["a"]', "is not a list of people"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as found:
        grants_of(text)
    assert str(found.value).startswith("pyproject.toml: [tool.tidemill.")


def test_trusted_people_are_read_by_environment() -> None:
    table = {"prod": ["ci", "@release"], "staging": ["uid:1234"]}
    found = parse_trusted(table, {"release": ()}, PLACE)
    assert found == {"prod": ("ci", "@release"), "staging": ("uid:1234",)}
    assert parse_trusted({}, {}, PLACE) == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (["ci"], r"\.trusted\] = \['ci'\] is not a table"),
        ({"a b": ["ci"]}, r"\.trusted\] 'a b' is not a valid name of an environment"),
        ({"prod": "ci"}, r"prod = 'ci' is not a list of people and groups, such as"),
        ({"prod": []}, r"prod = \[\] is not a list"),
        ({"prod": [1]}, r"prod: 1 is not the name of a person or a group"),
        ({"prod": ["*"]}, "prod: without an entry the results of everybody count"),
        ({"prod": ["release"]}, "prod: release is a group: write @release"),
        ({"prod": ["@relaese"]}, r"there is no group 'relaese' \(did you mean 'release'"),
    ],
)
def test_which_trusted_people_are_refused(table: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_trusted(table, {"release": ()}, PLACE)
