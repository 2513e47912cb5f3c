"""Roles and scopes are enforced where services act: every action, from the role below it and with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.people import ROLES, open_as, write_settings
from tests.support.tides import LENIENT, Tides, day
from tidemill.core.errors import AccessError, TidemillError
from tidemill.governance.permissions import REQUIREMENTS, Permission
from tidemill.governance.roles import Role
from tidemill.planning.request import Request
from tidemill.project.identity import token_actor
from tidemill.project.project import Project

PEOPLE = {Role.VIEWER: "vera", Role.OPERATOR: "otto", Role.REVIEWER: "rita", Role.ADMIN: "adam"}
BAD = (5000.0, 1.0)
WHERE: dict[str, Any] = {"stage": "raw", "partition": day(0), "reason": "so"}
OTHER = {**WHERE, "partition": day(1)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Tides:
    """A project with quarantined rows, and with a ruling on one of them."""
    tides = Tides(tmp_path_factory.mktemp("home"), LENIENT)
    write_settings(tides.root)
    for number in range(2):
        tides.send(number, BAD)
    with open_as(tides, "adam") as project:
        assert project.run().exit_code == 0
        project.quarantine.drop(**OTHER)
    return tides


# Each action by a service, and what it needs; it may fail for another reason than who asks for it.
ACTIONS: list[tuple[Permission, Callable[[Project], object]]] = [
    (Permission.READ, lambda project: project.read("raw")),
    (Permission.READ, lambda project: project.runs()),
    (Permission.READ, lambda project: project.environments.list()),
    (Permission.READ, lambda project: project.tokens.list()),
    (Permission.READ, lambda project: project.stored_state.verify()),
    (Permission.READ, lambda project: project.quarantine.list()),
    (Permission.READ, lambda project: project.plan()),
    (Permission.RUN, lambda project: project.run()),
    (Permission.RUN, lambda project: project.plan_urgent()),
    (Permission.RUN, lambda project: project.change_reviews.review("HEAD", Request())),
    (Permission.RUN, lambda project: project.debug("raw", day(0))),
    (Permission.RUN, lambda project: project.repeat()),
    (Permission.PROMOTE, lambda project: project.promote("dev")),
    (Permission.RESTORE, lambda project: project.delivered_tables.restore("raw", "x", command="c")),
    (Permission.REPAIR, lambda project: project.stored_state.verify(repair=True)),
    (Permission.CREATE_ENVIRONMENT, lambda project: project.environments.create("dev")),
    (Permission.SERVE, lambda project: project.serving.serve()),
    (Permission.CORRECT_ROWS, lambda project: project.quarantine.release(**WHERE, fixed="none.csv")),
    (Permission.RELEASE_ROWS, lambda project: project.quarantine.release(**WHERE)),
    (Permission.DROP_ROWS, lambda project: project.quarantine.drop(**WHERE)),
    (Permission.DROP_ROWS, lambda project: project.quarantine.take_back(**OTHER, ruling=1)),
    (Permission.DELIVER, lambda project: project.models.moves.deliver("x", "y")),
    (Permission.DELIVER, lambda project: project.models.moves.rollback("x")),
    (Permission.MANAGE_TOKENS, lambda project: project.tokens.create("x")),
    (Permission.DROP_ENVIRONMENT, lambda project: project.environments.drop(["dev"])),
    (Permission.FORGET_STAGES, lambda project: project.environments.forget(["raw"])),
    (Permission.ADOPT_WORKFLOW, lambda project: project.environments.adopt("rivers")),
    (Permission.MANAGE_LEDGER, lambda project: project.stored_state.export(project.root / "x")),
    (Permission.MANAGE_LEDGER, lambda project: project.stored_state.rebuild()),
]  # fmt: skip


def refusal_of(tides: Tides, person: str, act: Callable[[Project], object]) -> str:
    """Why a person may not do something; "" if it may, whatever comes of it."""
    with open_as(tides, person) as project:
        try:
            act(project)
        except AccessError as error:
            return str(error)
        except TidemillError:
            return ""
    return ""


def open_with(tides: Tides, token: str) -> Project:
    """The project for the holder of a token."""
    project = open_as(tides)
    tools = project.tools
    actor = token_actor(tools.ledger, token, now=tools.clock(), place="the token", is_local=True)
    project.workspace = project.workspace.acting_as(actor)
    return project


@pytest.mark.parametrize(
    ("permission", "act"), ACTIONS, ids=[f"{n} {p}" for n, (p, _) in enumerate(ACTIONS)]
)
def test_an_action_needs_its_role(
    home: Tides, permission: Permission, act: Callable[[Project], object]
) -> None:
    needed = REQUIREMENTS[permission].role
    for role, person in ((None, "nobody"), *PEOPLE.items()):
        refused = refusal_of(home, person, act)
        if role is None or role < needed:
            # Who may not even read isn't shown what there is to do.
            wanted = (permission,) if role else (permission, Permission.READ)
            assert any(
                f"{person} may not {each} in the workflow tides" in refused for each in wanted
            )
        else:
            assert refused == ""


def test_who_acted_is_recorded_and_a_note_beside_it(home: Tides) -> None:
    with open_as(home, "rita") as project:
        ruling = project.quarantine.take_back(**OTHER, ruling=1, note="for the night shift")
        assert (ruling.actor, ruling.note) == ("rita", "for the night shift")
        held = project.quarantine.list("raw")[-1]
        assert held.rulings[-1].endswith(
            "put back into quarantine by rita (for the night shift): so"
        )
        project.run()
        assert project.runs()[0].actor == "rita"
    with open_as(home, "adam") as project:
        project.environments.create("trial")
        project.environments.drop(["trial"])
        token = project.tokens.create("shop", note="a ticket").issued.token
        assert (token.actor, token.note) == ("adam", "a ticket")
        revoked = project.tokens.revoke(token.id, reason="old", note="so be it")
        assert (revoked.revoked_by, revoked.note) == ("adam", "so be it")
        events = project.tools.ledger.events(kinds=("EnvironmentCreated", "EnvironmentDropped"))
        made = [fact.event for fact in events if getattr(fact.event, "environment", "") == "trial"]
        assert [getattr(event, "actor", None) for event in made] == ["adam", "adam"]


def test_holders_revoke_their_own_tokens(home: Tides) -> None:
    with open_as(home, "adam") as project:
        own, other = (project.tokens.create(who).issued.token.id for who in ("vera", "rita"))
    with open_as(home, "vera") as project:
        assert project.tokens.revoke(own).revoked_by == "vera"
        with pytest.raises(AccessError, match="vera may not manage tokens"):
            project.tokens.revoke(other)


def test_a_token_that_manages_none_revokes_only_itself(home: Tides) -> None:
    with open_as(home, "adam") as project:
        shown, admin, other = (
            project.tokens.create("adam", scopes=[scope]) for scope in ("read", "admin", "run")
        )
    with open_with(home, shown.text) as project:
        with pytest.raises(AccessError, match="has only the scope read"):
            project.tokens.revoke(admin.issued.token.id)
        assert project.tokens.revoke(shown.issued.token.id).revoked_by == "adam"
    with open_with(home, admin.text) as project:
        assert project.tokens.revoke(other.issued.token.id).revoked_by == "adam"


def test_an_admin_of_one_workflow_makes_no_tokens_for_others(tmp_path: Path) -> None:
    write_settings(tmp_path, ROLES + 'ina = { role = "admin", workflows = ["tides", "river*"] }\n')
    with open_as(Tides(tmp_path), "ina") as project:
        made = project.tokens.create("adam", scopes=["admin"], workflows=["rivers"])
        assert made.issued.token.workflows == ("rivers",)
        # Patterns of workflows that don't exist yet count as well.
        assert project.tokens.create("adam", scopes=["run"], workflows=["river*", "rivers[12]"])
        for pattern in ("*", "t*", "tides*", "r*", "[r]ivers", "?ides"):
            with pytest.raises(
                AccessError, match="may not manage tokens of all workflows that match"
            ):
                project.tokens.create("adam", scopes=["admin"], workflows=[pattern])


def test_a_token_makes_no_wider_token(home: Tides) -> None:
    with open_as(home, "adam") as project:
        given = project.tokens.create(
            "adam", scopes=["admin", "run"], workflows=["tides", "river*"], ttl="30d"
        )
    with open_with(home, given.text) as project:
        made = project.tokens.create(
            "otto", scopes=["read", "run"], workflows=["rivers"], ttl="29d"
        )
        assert made.issued.token.scopes == ("read", "run")
        for options, says in (
            ({"scopes": ["run", "review"], "ttl": "1d"}, "the scopes admin, run, .* with review$"),
            ({"ttl": "1d"}, "makes no token with predict$"),
            ({"scopes": ["run"], "ttl": "31d"}, "valid for longer: choose a shorter --ttl"),
            ({"scopes": ["run"], "ttl": None}, "valid for longer"),
            (
                {"scopes": ["run"], "ttl": "1d", "workflows": ["*"]},
                r"all workflows that match '\*'",
            ),
            (
                {"scopes": ["run"], "ttl": "1d", "workflows": ["r*"]},
                r"all workflows that match 'r\*'",
            ),
        ):
            with pytest.raises(AccessError, match=says):
                project.tokens.create("otto", **options)


def test_who_made_the_token_of_a_maker_vouches_as_well(home: Tides) -> None:
    with open_as(home, "adam") as project:
        first = project.tokens.create("robot", scopes=["admin", "review"], ttl=None)
    write_settings(home.root, f'{ROLES}robot = "admin"\n')
    with open_with(home, first.text) as project:
        second = project.tokens.create("rita", scopes=["review"])
    write_settings(home.root)
    with open_with(home, second.text) as project:
        assert {"robot", "adam"} <= {*project.workspace.actor.vouched_by}


def test_without_roles_nothing_changes(tmp_path: Path) -> None:
    write_settings(tmp_path, '[tool.tidemill]\nworkflow = "tides:flow"\n')
    tides = Tides(tmp_path)
    tides.send(0)
    with open_as(tides, "whoever") as project:
        assert project.run().exit_code == 0
        assert project.identity.may == tuple(Permission)
