"""`tidemill login` and `logout` at a real identity provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.identity_provider import MISSING, Person, identity_provider, put_in_groups
from tests.support.users import USER
from tidemill.cli import login as command


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with identity_provider() as found:
        yield found


@pytest.fixture
def project(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the current folder; logins are kept beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(fresh / "state"))
    return fresh


def configure(project: Path, issuer: str, **options: str) -> None:
    lines = {"issuer": f'"{issuer}"', "client_id": '"tidemill"', **options}
    table = "".join(f"{name} = {value}\n" for name, value in lines.items())
    file = project / "pyproject.toml"
    file.write_text(f"{file.read_text()}\n[tool.tidemill.oidc]\n{table}")


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_who_logged_in_acts(project: Path, issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(project, issuer, required="true")
    refused = tidemill("whoami")
    assert refused.code == 7
    assert f"nobody is logged in: run `tidemill login`, which asks {issuer}" in refused.err
    person = Person("ana")
    with monkeypatch.context() as patched:
        patched.setattr(command, "print_text", lambda text, **_: person.follow(text))
        assert tidemill("login", "--browser").code == 0
    assert tidemill("whoami").out.startswith("ana@example.org: the login at")
    assert tidemill("logout").out == "logged out\n"
    assert tidemill("logout").out == "nobody was logged in\n"
    assert tidemill("whoami").code == 7


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_group_of_the_provider_gives_a_role(
    project: Path, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(
        project, issuer, required="true", groups_claim='"groups"', scopes='["email", "groups"]'
    )
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.tidemill.roles]\nboss = "admin"\n"@leads" = "reviewer"\n')
        file.write("[tool.tidemill.groups]\nleads = []\n")
    put_in_groups(issuer, "hal", "leads", "boss")
    person = Person("hal")
    with monkeypatch.context() as patched:
        patched.setattr(command, "print_text", lambda text, **_: person.follow(text))
        assert tidemill("login", "--browser").code == 0
    shown = tidemill("whoami").out
    assert "\n  reviewer in *, as @leads\n" in shown
    assert "admin" not in shown
    refused = tidemill("tokens", "create", "x")
    assert (refused.code, "hal@example.org is reviewer; it is the role of boss" in refused.err) == (
        7,
        True,
    )


def test_without_login_the_user_acts_unless_one_is_required(project: Path) -> None:
    configure(project, "http://127.0.0.1:1")
    assert tidemill("whoami").out.startswith(f"{USER}: the user of this process")


def test_a_project_without_provider_has_no_login(project: Path) -> None:
    ended = tidemill("login")
    assert ended.code == 2
    assert "add [tool.tidemill.oidc] with its issuer and client_id" in ended.err
