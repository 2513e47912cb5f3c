"""Who looks and may do what."""

from __future__ import annotations

from pathlib import Path

from tests.support.console import Visitor
from tests.support.console_shop import console_shop
from tests.support.governed_shop import governed_shop
from tests.support.users import USER
from tidemill.project.project import open_project


def test_people_roles_and_groups_are_those_of_the_settings(tmp_path: Path) -> None:
    with Visitor(console_shop(tmp_path)) as guest:
        found = guest.api("/settings")
        assert (found["who"]["name"], found["who"]["role"]) == (USER, "admin")
        assert {"who": "ana", "role": "viewer", "workflows": ["*"]} in found["grants"]
        assert found["groups"] == [{"name": "ops-leads", "people": ["ben"]}]
        assert found["file"] == str(tmp_path / "pyproject.toml")
        waive = next(each for each in found["permissions"] if each["permission"] == "waive a rule")
        assert (waive["role"], waive["scope"], waive["is_allowed"]) == ("admin", "admin", True)
        words = guest.page("/settings").words
        assert "@ops-leads" in words
        assert "secret-path" not in guest.page("/settings").text


def test_a_token_does_less_than_its_holder(tmp_path: Path) -> None:
    console_shop(tmp_path)
    project = open_project(tmp_path)
    token = project.tokens.create("ben", scopes=["read"]).text
    project.close()
    with Visitor(tmp_path, token=token) as ben:
        found = ben.api("/settings")
        assert (found["who"]["role"], found["who"]["scopes"]) == ("reviewer", ["read"])
        assert [each["permission"] for each in found["permissions"] if each["is_allowed"]] == [
            "read", "export quarantined rows", "export the audit trail",
        ]  # fmt: skip
        assert token not in ben.page("/settings").text


def test_without_roles_everybody_may_do_everything(tmp_path: Path) -> None:
    governed_shop(tmp_path)
    with Visitor(tmp_path) as guest:
        found = guest.api("/settings")
        assert (found["roles_are_declared"], found["grants"]) == (False, [])
        assert all(each["is_allowed"] for each in found["permissions"])
        assert "No roles are declared" in guest.page("/settings").words
