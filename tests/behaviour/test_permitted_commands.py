"""Every command that changes something is refused for who lacks its role, and records who did it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import tidemill as tm
from tests.support.commands import forgotten_imports, tidemill
from tests.support.users import USER
from tidemill.cli import cli
from tidemill.governance.permissions import REQUIREMENTS, Permission
from tidemill.governance.roles import Role
from tidemill.ledger.event import EnvironmentCreated
from tidemill.ledger.governance_events import Acted, ReviewOpened
from tidemill.project.project import Project
from tidemill.testing import records as samples

# Each command that changes a project, hands its records on or asks others to do something: the permission
# that it needs, and a call that would do it. TOKEN and REVIEW stand for ids.
COMMANDS: dict[str, tuple[Permission, str]] = {
    "check": (Permission.RUN, "check --twice"),
    "run": (Permission.RUN, "run"),
    "up": (Permission.SUPERVISE, "up --once"),
    "promote": (Permission.PROMOTE, "promote dev"),
    "review approve": (Permission.REVIEW, "review approve REVIEW --reason so"),
    "review reject": (Permission.REVIEW, "review reject REVIEW --reason so"),
    "review changes": (Permission.REVIEW, "review changes REVIEW --reason so"),
    "deliver": (Permission.DELIVER, "deliver demand 1"),
    "rollback": (Permission.DELIVER, "rollback demand"),
    "serve": (Permission.SERVE, "serve"),
    "endpoints hold": (Permission.STEER_ROLLOUT, "endpoints hold demand"),
    "endpoints resume": (Permission.STEER_ROLLOUT, "endpoints resume demand"),
    "tokens create": (Permission.MANAGE_TOKENS, "tokens create somebody"),
    "tokens revoke": (Permission.MANAGE_TOKENS, "tokens revoke TOKEN"),
    "audit checkpoint": (Permission.RUN, "audit checkpoint"),
    "audit export": (Permission.EXPORT_AUDIT, "audit export events.jsonl"),
    "attest write": (Permission.RUN, "attest write demand --sign"),
    "erase": (Permission.ERASE, "erase somebody --yes"),
    "keys create": (Permission.MANAGE_AUDIT, "keys create ../key.pem"),
    "policy waive": (Permission.WAIVE, "policy waive rule --for * --reason so --until 1d"),
    "policy unwaive": (Permission.WAIVE, "policy unwaive w1 --reason so"),
    "env create": (Permission.CREATE_ENVIRONMENT, "env create dev"),
    "env adopt": (Permission.ADOPT_WORKFLOW, "env adopt before"),
    "env forget": (Permission.FORGET_STAGES, "env forget gone"),
    "env drop": (Permission.DROP_ENVIRONMENT, "env drop dev"),
    "quarantine export": (Permission.EXPORT_ROWS, "quarantine export sales --to rows.csv"),
    "quarantine release": (
        Permission.RELEASE_ROWS,
        "quarantine release sales 2026-01-12 --all --reason so",
    ),
    "quarantine drop": (Permission.DROP_ROWS, "quarantine drop sales 2026-01-12 --all --reason so"),
    "quarantine undo": (
        Permission.DROP_ROWS,
        "quarantine undo sales 2026-01-12 --ruling 1 --reason so",
    ),
    "models mirror": (Permission.RUN, "models mirror"),
    "schedules run": (Permission.RUN, "schedules run"),
    "schedules pause": (Permission.PAUSE_SCHEDULE, "schedules pause nightly"),
    "schedules resume": (Permission.PAUSE_SCHEDULE, "schedules resume nightly"),
    "lineage send": (Permission.RUN, "lineage send"),
    "incidents open": (Permission.MANAGE_INCIDENTS, "incidents open odd"),
    "incidents resolve": (Permission.MANAGE_INCIDENTS, "incidents resolve INCIDENT --reason so"),
    "silence add": (Permission.MANAGE_INCIDENTS, "silence add --for 1h --reason so"),
    "silence end": (Permission.MANAGE_INCIDENTS, "silence end SILENCE"),
    "alerts check": (Permission.MANAGE_INCIDENTS, "alerts check"),
    "alerts test": (Permission.MANAGE_INCIDENTS, "alerts test oncall"),
    "note weekly": (Permission.MANAGE_INCIDENTS, "note weekly --send"),
    "restore": (Permission.RESTORE, "restore forecast RUN"),
    "verify": (Permission.REPAIR, "verify --repair"),
    "home backup": (Permission.MANAGE_HOME, "home backup ../copy"),
    "home move": (Permission.MANAGE_HOME, "home move elsewhere"),
    "home restore": (Permission.MANAGE_HOME, "home restore ../copy --into ../home"),
    "ledger compact": (Permission.MANAGE_LEDGER, "ledger compact"),
    "sweep run": (Permission.SWEEP, "sweep run"),
    "sweep pin": (Permission.PIN_DATA, "sweep pin sales --reason so"),
    "sweep unpin": (Permission.UNPIN_DATA, "sweep unpin sales"),
    "ledger export": (Permission.MANAGE_LEDGER, "ledger export ../events.jsonl"),
    "ledger rebuild": (Permission.MANAGE_LEDGER, "ledger rebuild"),
}
# Commands that only read a project, write what they read elsewhere, or work without one.
READERS = {
    "": "completion init demo test plan status predict bench-endpoint whoami login logout show drift explain "
    "metrics costs share slo scorecard doctor graph runbook report console",
    "contract ": "diff docs export history import infer sample show",
    "review ": "list show",
    "models ": "list show compare card bom history export",
    "endpoints ": "history",
    "tokens ": "list",
    "audit ": "show verify prove check-proof",
    "attest ": "verify",
    "policy ": "list facts test explain replay waivers",
    "env ": "list diff",
    "quarantine ": "list show",
    "lineage ": "export status",
    "incidents ": "list show",
    "note ": "handoff",
    "silence ": "list",
    "runs ": "show logs stages",
    "schedules ": "list next",
    "home ": "verify-backup",
    "sweep ": "why pins",
}


def commands(group: click.Group, before: str = "") -> Iterator[str]:
    """The names of all commands of a group and of the groups in it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, f"{before}{name} ")
        else:
            yield f"{before}{name}"


def test_each_command_is_in_one_table() -> None:
    reading = [f"{group}{name}" for group, names in READERS.items() for name in names.split()]
    assert sorted([*COMMANDS, *reading]) == sorted(commands(cli))
    assert {permission for permission, _ in COMMANDS.values()} | {
        # Rulings of other kinds, and what each of these needs at least.
        Permission.READ,
        Permission.CORRECT_ROWS,
    } == {*Permission}


def write_roles(folder: Path, role: Role | None) -> None:
    """Give who runs the tests a role, if any, in place of the one before."""
    file = folder / "pyproject.toml"
    text = file.read_text().partition("\n[tool.tidemill.roles]")[0]
    own = f'{USER} = "{role}"\n' if role else ""
    file.write_text(f'{text}\n[tool.tidemill.roles]\nboss = "admin"\n{own}')


@dataclass(frozen=True)
class Home:
    """A project that ran, with a token and an open review of somebody else."""

    folder: Path
    ids: Mapping[str, str]


def open_here(folder: Path) -> closing[Project]:
    return closing(tm.open(folder))


@pytest.fixture(scope="module")
def home(built_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home") / "bakery"
    shutil.copytree(built_template, folder)
    monkeypatch = pytest.MonkeyPatch()
    # Modules of the current folder are forgotten.
    monkeypatch.chdir(folder)
    with forgotten_imports(), open_here(folder) as project:
        token = project.tokens.create("somebody else").issued.token.id
        asked = ReviewOpened(environment="prod", review=samples.review("r0"))
        project.tools.ledger.append([asked], now=project.tools.clock())
        project.quarantine.drop("sales", "2026-01-12", reason="so")
        ids = {"TOKEN": token, "REVIEW": "r0", "RUN": project.runs()[0].id}
    monkeypatch.undo()
    return Home(folder, ids)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_its_role(
    home: Home, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.folder)
    permission, call = COMMANDS[command]
    words = [home.ids.get(word, word) for word in call.split()]
    assert call.startswith(command)
    needed = REQUIREMENTS[permission].role
    below = [None, *(role for role in Role if role < needed)][-1]
    write_roles(home.folder, below)
    before = tidemill("runs", "--json").out
    ended = tidemill(*words)
    assert ended.code == 7, ended
    # Who may not even read isn't shown what there is to do.
    named = {permission, Permission.READ} if below is None else {permission}
    assert any(f"{USER} may not {each} in the workflow" in ended.err for each in named), ended.err
    assert tidemill("runs", "--json").out == before


def test_who_did_it_is_recorded(built: Path) -> None:
    def told(*words: str) -> tuple[str, str, str]:
        ended = tidemill(*words)
        assert ended.code == 0, ended
        with forgotten_imports(), open_here(built) as project:
            *_, fact = project.tools.ledger.events(kinds=("Acted",))
        event = fact.event
        assert isinstance(event, Acted)
        assert (event.actor, event.environment) == (USER, "prod")
        return event.action, event.subject, event.detail

    key = built.parent / "key.pem"
    action, subject, _ = told("keys", "create", str(key))
    assert (action, subject.startswith("key ")) == ("manage the keys of the audit", True)
    assert told("quarantine", "export", "sales", "--to", "rows.csv") == (
        "export quarantined rows", "sales to rows.csv", "",
    )  # fmt: skip
    assert told("audit", "export", "events.jsonl")[:2] == ("export the audit trail", "all events")
    assert '"Acted"' in Path("events.jsonl").read_text().splitlines()[-1]
    copy = built.parent / "events"
    assert told("ledger", "export", str(copy))[1:] == (f"ledger.db to {copy}", "exported")
    assert '"Acted"' in copy.read_text().splitlines()[-2]
    action, subject, detail = told("ledger", "rebuild")
    assert (subject, detail.startswith("rebuilt; ledger.db")) == ("ledger.db", True)
    flow = built / "bakery.py"
    flow.write_text(flow.read_text().replace("forecast", "outlook"))
    assert told("env", "forget", "forecast")[:2] == ("remove what a stage published", "forecast")
    flow.write_text(flow.read_text().replace('tm.Workflow("bakery"', 'tm.Workflow("patisserie"'))
    assert told("env", "adopt", "bakery")[:2] == (
        "take over the state of another workflow",
        "bakery",
    )
    with forgotten_imports(), open_here(built) as project:
        *_, fact = project.tools.ledger.events(kinds=("EnvironmentCreated",))
    assert isinstance(fact.event, EnvironmentCreated)
    assert fact.event.actor == USER
    shown = tidemill("audit", "show", "--what", "ledger.db").out
    assert "export or rebuild the ledger" in shown
