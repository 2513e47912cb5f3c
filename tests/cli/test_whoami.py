"""`tidemill whoami` and `--token-file`: who acts, and what that allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.users import USER


@pytest.fixture
def shop(fresh: Path) -> Path:
    """A project in the current folder whose roles name the user of the tests."""
    file = fresh / "pyproject.toml"
    roles = f"""
[tool.tidemill.roles]
boss = "admin"
"@leads" = {{ role = "reviewer", workflows = ["bak*"] }}
{USER} = "admin"

[tool.tidemill.groups]
leads = ["rita", "{USER}"]
"""
    file.write_text(file.read_text() + roles)
    return fresh


def test_roles_and_where_they_come_from(shop: Path) -> None:
    shown = tidemill("whoami").out.splitlines()
    assert shown[0].startswith(f"{USER}: the user of this process (effective user id ")
    assert shown[1:4] == [
        "bakery: admin",
        "  reviewer in bak*, as @leads",
        f"  admin in *, as {USER}",
    ]
    assert shown[4].startswith("may: read, export quarantined rows, export the audit trail, run")
    found = tidemill("whoami", "--json").document
    assert (found["schema"], found["actor"], found["role"]) == (
        "tidemill.identity/1",
        USER,
        "admin",
    )
    assert found["groups"] == ["leads"]
    assert {"action": "move what is live", "scope": "deliver"} in found["may"]


def test_a_token_in_a_file(shop: Path) -> None:
    text = tidemill("tokens", "create", "rita", "--scope", "review", "--in", "bak*").out
    file = shop / "token"
    file.write_text(text)
    shown = tidemill("--token-file", str(file), "whoami").out
    assert shown.startswith("rita: the holder of the token ")
    assert f"which {USER} created" in shown
    assert "scopes: review, in the workflows bak*" in shown
    assert shown.endswith(
        "may: read, export quarantined rows, export the audit trail, release quarantined rows, drop "
        "quarantined rows, decide a review\n"
    )
    assert tidemill("whoami").out.count("scopes:") == 0
    refused = tidemill("--token-file", str(file), "run")
    assert (refused.code, refused.out) == (7, "")
    assert "may not run in the workflow bakery: the token " in refused.err
    assert "(needs run)" in refused.err
    listed = tidemill("tokens", "list").out.splitlines()
    assert listed[0].split()[:4] == ["token", "holder", "scopes", "workflows"]
    assert listed[1].split()[1:4] == ["rita", "review", "bak*"]


def test_a_file_without_a_token(shop: Path) -> None:
    file = shop / "token"
    file.write_text("\n")
    for path, why in (
        ("token", "token (--token-file) is empty; it must hold a token"),
        ("nope", "there is no file nope (--token-file)"),
        (".", ". (--token-file) can't be read: Is a directory"),
    ):
        ended = tidemill("--token-file", path, "whoami")
        assert ended.code == 2
        assert why in ended.err
    file.write_bytes(b"\xff\xfe")
    assert "can't be read: it isn't text" in tidemill("--token-file", "token", "whoami").err


def test_without_roles(fresh: Path) -> None:
    assert "bakery: admin, as everybody: the project declares no roles" in tidemill("whoami").out


def test_somebody_without_a_role(shop: Path) -> None:
    file = shop / "pyproject.toml"
    file.write_text(file.read_text().replace(f'{USER} = "admin"\n', "").replace(f'"{USER}"', '"x"'))
    shown = tidemill("whoami").out
    assert "bakery: no role\n" in shown
    assert shown.endswith("may: nothing\n")
    ended = tidemill("plan")
    assert ended.code == 7
    assert f"{USER} may not read" in ended.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("x", "--scope", "rewiev"), "'rewiev' is not a scope (did you mean 'review'?)"),
        (("x", "--scope", "run", "--endpoint", "demand"), "only with the scope predict: add it"),
        (
            ("x", "--in", "*"),
            "a token with the scope predict alone opens endpoints of this workflow",
        ),
        (("x", "--scope", "run", "--in", " "), "' ' is not a pattern of workflows"),
        (("@leads",), "'@leads' would be taken for a group, a role or a user id"),
        (("role:admin",), "would be taken for a group, a role or a user id"),
        (("gates",), "'gates' is not a name of who holds a token"),
    ],
)
def test_tokens_that_are_refused(shop: Path, arguments: tuple[str, ...], says: str) -> None:
    ended = tidemill("tokens", "create", *arguments)
    assert ended.code == 2
    assert says in ended.err
