"""The settings of logins are checked when they are read, and so is what a provider states."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import AccessError, UsageError
from tidemill.governance.oidc_settings import (
    OidcSettings,
    groups_of,
    parse_oidc_settings,
    person_of,
)

PLACE = "[tool.tidemill.oidc]"
TABLE = {"issuer": "https://id.example.org", "client_id": "tidemill"}
SETTINGS = OidcSettings(issuer="https://id.example.org", client_id="tidemill")


def test_settings_are_read() -> None:
    assert parse_oidc_settings(TABLE, PLACE) == SETTINGS
    table = {**TABLE, "scopes": ["email", "openid"], "required": True, "name_claim": "sub"}
    found = parse_oidc_settings(table, PLACE)
    assert found.scopes == ("openid", "email")
    assert (found.required, found.name_claim) == (True, "sub")
    for issuer in ("http://127.0.0.1:8080", "http://localhost/tenant", "http://[::1]:80"):
        assert parse_oidc_settings({**TABLE, "issuer": issuer}, PLACE).issuer == issuer


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"isuer": "x"}, "did you mean 'issuer'"),
        ({"issuer": 5}, "issuer = 5 is not text"),
        ({"client_id": " "}, "client_id = ' ' is not text"),
        ({"required": "yes"}, "required = 'yes' is not true or false"),
        ({"scopes": "openid"}, "is not a list of scopes"),
        ({"proxy": "proxy:3128"}, "proxy = 'proxy:3128' is not the URL of a proxy"),
        ({"groups_claim": ["groups"]}, "groups_claim = ['groups'] is not text"),
        ({"scopes": [""]}, "is not a list of scopes"),
        ({"issuer": "http://id.example.org"}, "is not an https:// URL"),
        ({"issuer": "http://127.0.0.1.evil.example"}, "is not an https:// URL"),
        ({"issuer": "http://localhost.evil.example"}, "is not an https:// URL"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match="oidc") as caught:
        parse_oidc_settings({**TABLE, **changed}, PLACE)
    assert message in str(caught.value)


@pytest.mark.parametrize("missing", ["issuer", "client_id"])
def test_what_is_needed_is_named(missing: str) -> None:
    table = {name: value for name, value in TABLE.items() if name != missing}
    with pytest.raises(UsageError, match=f"needs {missing}"):
        parse_oidc_settings(table, PLACE)


@pytest.mark.parametrize(
    ("stated", "found"),
    [
        ({"groups": ["leads", "night"]}, {"leads", "night"}),
        ({"groups": "leads"}, {"leads"}),
        ({"groups": []}, set()),
        ({}, set()),
        ({"groups": {"leads": True}}, None),
        ({"groups": ["leads", 5]}, None),
        ({"groups": None}, None),
    ],
)
def test_the_claim_states_groups(stated: dict[str, Any], found: set[str] | None) -> None:
    settings = parse_oidc_settings({**TABLE, "groups_claim": "groups"}, PLACE)
    assert groups_of(stated, SETTINGS) == set()
    if found is None:
        with pytest.raises(AccessError, match="states 'groups' as something else than a list"):
            groups_of(stated, settings)
    else:
        assert groups_of(stated, settings) == found


def test_the_claim_names_the_person() -> None:
    claims = {"sub": "1", "email": "ana@example.org", "email_verified": True}
    assert person_of(claims, SETTINGS) == "ana@example.org"
    by_subject = parse_oidc_settings({**TABLE, "name_claim": "sub"}, PLACE)
    assert person_of({"sub": "ana"}, by_subject) == "ana"


@pytest.mark.parametrize("name", [None, "", " ", 5, ["ana"]])
def test_a_login_without_a_name_is_refused(name: object) -> None:
    with pytest.raises(AccessError, match=r"states no 'email'; it states email, sub"):
        person_of({"sub": "1", "email": name}, SETTINGS)


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_address_that_anybody_could_enter_is_refused(verified: object) -> None:
    claims = {"email": "boss@example.org", "email_verified": verified}
    with pytest.raises(AccessError, match="hasn't verified the address boss@"):
        person_of(claims, SETTINGS)


@pytest.mark.parametrize("name", ["gates", "expiry", "*", "@leads", "role:admin", "uid:0", "an\na"])
def test_a_name_that_stands_for_something_else_is_refused(name: str) -> None:
    by_subject = parse_oidc_settings({**TABLE, "name_claim": "sub"}, PLACE)
    with pytest.raises(AccessError, match="stands for no person"):
        person_of({"sub": name}, by_subject)
