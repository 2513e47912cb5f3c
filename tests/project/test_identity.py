"""Who acts is the user of the process or the holder of a token; what lies about it changes nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.commands import process
from tests.support.people import ROLES, open_as, write_settings
from tests.support.tides import Tides
from tests.support.users import USER
from tidemill.core.errors import AccessError
from tidemill.governance.permissions import ActorKind, Permission
from tidemill.governance.roles import Role
from tidemill.ledger.access_token import TOKEN_VARIABLE, AccessToken, TokenScope
from tidemill.ledger.governance_events import TokenCreated
from tidemill.serving.token_text import token_digest


@pytest.fixture
def sea(tmp_path: Path) -> Tides:
    write_settings(tmp_path)
    return Tides(tmp_path)


def token_of(sea: Tides, holder: str, *scopes: str, by: str = "adam", **terms: object) -> str:
    """The text of a token that an admin creates elsewhere."""
    with open_as(sea, by) as project:
        return project.tokens.create(holder, scopes=scopes, **terms).text  # type: ignore[arg-type]


def test_without_a_token_it_is_the_user_of_the_process(sea: Tides) -> None:
    with open_as(sea) as project:
        actor = project.workspace.actor
        assert (actor.name, actor.kind, actor.scopes) == (USER, ActorKind.USER, None)
        with pytest.raises(
            AccessError, match=f"{USER} may not run .* it is the role of adam, otto, rita"
        ):
            project.run()


def test_a_token_makes_its_holder_act_within_its_scopes(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token_of(sea, "rita", "run", "review"))
    sea.send(0)
    with open_as(sea) as project:
        actor = project.workspace.actor
        assert (actor.name, actor.kind) == ("rita", ActorKind.TOKEN)
        assert actor.scopes == frozenset((TokenScope.RUN, TokenScope.REVIEW))
        assert project.run().exit_code == 0
        assert [run.actor for run in project.runs()] == ["rita"]
        project.workspace.require(Permission.RELEASE_ROWS)
        # Her role would do, but not this token; and the other way round.
        with pytest.raises(
            AccessError, match=r"the token .* has only the scope review, run \(needs deliver\)"
        ):
            project.workspace.require(Permission.DELIVER)
        with pytest.raises(AccessError, match=r"\(needs admin\)"):
            project.workspace.require(Permission.MANAGE_TOKENS)


def test_a_scope_gives_no_role(sea: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token_of(sea, "vera", *TokenScope))
    with open_as(sea) as project:
        project.workspace.require(Permission.READ)
        with pytest.raises(AccessError, match="needs the role operator, and vera is viewer"):
            project.workspace.require(Permission.RUN)


def test_the_token_itself_is_masked_in_texts(sea: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    text = token_of(sea, "rita", "run")
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea) as project:
        assert project.workspace.redactor.redact(f"it is {text}!") == "it is ***!"


@pytest.mark.parametrize(
    "text", ["x", "tm_", "tm_0123456789_" + "a" * 43, "tm_0123456789_\N{SNOWMAN}", "tm_" * 5000]
)
def test_a_token_that_is_unknown_is_not_ignored(
    sea: Tides, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea) as project, pytest.raises(AccessError, match="holds no token of this home"):
        project.state()


def test_a_secret_that_was_changed_is_refused(sea: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    text = token_of(sea, "adam", "admin")
    monkeypatch.setenv(TOKEN_VARIABLE, text[:-1] + ("a" if text[-1] != "a" else "b"))
    with open_as(sea) as project, pytest.raises(AccessError, match="holds no token of this home"):
        project.state()


def test_a_token_of_another_home_is_refused(
    sea: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Tides(tmp_path / "other")
    write_settings(other.root)
    monkeypatch.setenv(TOKEN_VARIABLE, token_of(other, "adam", "admin"))
    with open_as(sea) as project, pytest.raises(AccessError, match="holds no token of this home"):
        project.state()


def test_revoked_and_expired_tokens_are_refused(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = token_of(sea, "rita", "review")
    with open_as(sea, "adam") as project:
        project.tokens.revoke(text, reason="she left")
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea) as project, pytest.raises(AccessError, match="which adam revoked: she left"):
        project.state()
    monkeypatch.setenv(TOKEN_VARIABLE, token_of(sea, "rita", "review", ttl="1h"))
    with open_as(sea) as project:
        later = project.tools.clock() + 3601
        project.workspace.tools = replace(project.tools, clock=lambda: later)
        with pytest.raises(AccessError, match="which has expired: ask for a new one"):
            project.state()


def test_a_token_ends_with_its_environment(sea: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_as(sea, "adam") as project:
        project.environments.create("dev")
    with open_as(sea, "adam", environment="dev") as project:
        text = project.tokens.create("rita", scopes=["review"]).text
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea) as project:
        project.state()
    monkeypatch.delenv(TOKEN_VARIABLE)
    with open_as(sea, "adam") as project:
        project.environments.drop(["dev"])
        project.environments.create("dev")
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea) as project, pytest.raises(AccessError):
        project.state()


def test_a_token_for_another_workflow_is_refused(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Tides(sea.root, sea.text.replace('tm.Workflow("tides")', 'tm.Workflow("rivers")'))
    own = token_of(other, "adam", "admin")
    both = token_of(other, "adam", "admin", workflows=["river*", "tide?"])
    monkeypatch.setenv(TOKEN_VARIABLE, own)
    with (
        open_as(sea) as project,
        pytest.raises(AccessError, match=r"in the workflow tides: the token \w+ is for rivers"),
    ):
        project.state()
    with open_as(other) as project:
        project.workspace.require(Permission.MANAGE_TOKENS)
    monkeypatch.setenv(TOKEN_VARIABLE, both)
    with open_as(sea) as project:
        project.workspace.require(Permission.MANAGE_TOKENS)


def test_a_token_from_before_opens_endpoints_only(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "tm_0123456789_" + "s" * 43
    before = AccessToken(id="0123456789", digest=token_digest(text.encode()), holder="adam")
    with open_as(sea, "adam") as project:
        event = TokenCreated(environment="prod", token=before)
        project.tools.ledger.append([event], now=1.0)
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with (
        open_as(sea) as project,
        pytest.raises(
            AccessError, match=r"the token 0123456789 has only the scope predict \(needs read\)"
        ),
    ):
        project.state()


def test_an_id_that_was_recorded_twice_is_nobody(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another environment an event could bring a second token of the same id."""
    text = token_of(sea, "adam", "admin")
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea, "adam") as project:
        (issued,) = project.tokens.list()
        forged = TokenCreated(environment="dev", token=replace(issued.token, holder="eve"))
        project.tools.ledger.append([forged], now=1.0)
    with open_as(sea) as project, pytest.raises(AccessError, match="holds no token"):
        project.state()


def test_who_made_a_token_is_known_of_its_holder(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_settings(sea.root, ROLES.replace("adam =", f'{USER} = "admin"\nadam ='))
    with open_as(sea) as project:
        texts = {who: project.tokens.create(who, scopes=["review"]).text for who in ("rita", USER)}
    expected = {"rita": (USER,), USER: ()}
    for who, text in texts.items():
        monkeypatch.setenv(TOKEN_VARIABLE, text)
        with open_as(sea) as project:
            actor = project.workspace.actor
            assert (actor.name, actor.vouched_by) == (who, expected[who])
            assert actor.scopes == frozenset((TokenScope.REVIEW,))
    # So is the user who made one through another token.
    monkeypatch.setenv(TOKEN_VARIABLE, token_of(sea, "adam", "admin", "review"))
    with open_as(sea) as project:
        assert project.workspace.actor.name == "adam"
        text = project.tokens.create("rita", scopes=["review"], ttl="30d").text
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with open_as(sea) as project:
        actor = project.workspace.actor
        assert (actor.name, actor.vouched_by) == ("rita", ("adam", USER))


def test_a_role_that_was_taken_away_ends_a_token(
    sea: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, token_of(sea, "rita", "review"))
    write_settings(sea.root, ROLES.replace('rita = "reviewer"\n', ""))
    with open_as(sea) as project, pytest.raises(AccessError, match="rita has no role"):
        project.state()


def test_an_environment_that_lies_changes_nothing(tmp_path: Path) -> None:
    """`LOGNAME` and the like name an admin; a process of its own, as a shell starts it."""
    Tides(tmp_path).open().close()
    write_settings(tmp_path)
    done = process(
        "tokens",
        "create",
        "eve",
        cwd=tmp_path,
        LOGNAME="adam",
        USER="adam",
        LNAME="adam",
        USERNAME="adam",
        SUDO_USER="adam",
    )
    assert done.returncode == 7
    assert f"{USER} may not manage tokens" in done.stderr
    assert "it is the role of adam" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_effective_user_counts(tmp_path: Path) -> None:
    write_settings(
        tmp_path, f'[tool.tidemill]\nworkflow = "tides:flow"\nroles = {{ {USER} = "admin" }}\n'
    )
    sea = Tides(tmp_path)
    with open_as(sea) as project:
        assert project.identity.role is Role.ADMIN
    with open_as(sea) as project:
        os.seteuid(54_321)
        try:
            with pytest.raises(AccessError, match=r"uid:54321 may not read .* has no role"):
                project.workspace.require(Permission.READ)
        finally:
            os.seteuid(0)
