"""What is opened for whom, as the console does, and opened again when what it rests on changes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.console import write_project
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.console.io.projects import Projects
from tidemill.console.resources import RESOURCES, SHELL
from tidemill.console.view_calls import ViewAnswer
from tidemill.ledger.event import EnvironmentCreated
from tidemill.project.project import Project, open_project
from tidemill.project.recorded_project import open_recorded
from tidemill.project.settings import find_settings
from tidemill.project.workflow_name import written_times

BY_NAME = {resource.name: resource for resource in RESOURCES}
NOBODY = "tm_0000000000_nobody"


def use(root: Path, play: Callable[[Projects], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        projects = Projects(root, None, 60.0)
        try:
            await play(projects)
        finally:
            projects.close()

    asyncio.run(run())


@pytest.mark.parametrize("name", ["plan", "runs"])
def test_nothing_is_opened_for_nobody_or_for_an_environment_that_is_not_there(
    built: Path, name: str
) -> None:
    async def play(projects: Projects) -> None:
        for environment, token, status in (
            ("prod", NOBODY, 401),
            ("aaa", NOBODY, 401),
            ("aaa", "", 400),
        ):
            answer = await projects.call(BY_NAME[name], {}, environment, token)
            assert answer.status == status, answer.body
        assert "there is no environment 'aaa'" in answer.body
        assert list(projects._pools) == []
        assert list(projects._callers) == ["prod"]

    use(built, play)


@pytest.mark.parametrize("name", ["plan", "runs"])
def test_settings_with_faults_are_told(built: Path, name: str) -> None:
    file = built / "pyproject.toml"
    settings = file.read_text()

    async def play(projects: Projects) -> None:
        file.write_text(settings + "\n[tool.tidemill]\nhome = 3\n")
        answer = await projects.call(BY_NAME[name], {}, "prod", "")
        assert answer.status == 422
        assert "pyproject.toml" in json.loads(answer.body)["detail"]
        file.write_text(settings)
        assert (await projects.call(BY_NAME["runs"], {}, "prod", "")).status == 200

    use(built, play)


def test_what_a_dropped_environment_did_cost_is_known(built: Path) -> None:
    with open_project(built) as project:
        project.environments.create("gone")
    with open_project(built, env="gone") as project:
        project.run(again=True, stage="sales")
    with open_project(built) as project:
        project.environments.drop(["gone"])

    async def play(projects: Projects) -> None:
        answer = await projects.call(BY_NAME["costs"], {}, "gone", "")
        assert answer.status == 200, answer.body
        assert json.loads(answer.body)["rows"]
        assert (await projects.call(BY_NAME["costs"], {}, "never", "")).status == 400
        assert (await projects.call(BY_NAME["runs"], {}, "gone", "")).status == 400

    use(built, play)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def play(root: Path, call: Callable[[Projects, list[int]], Coroutine[Any, Any, None]]) -> None:
    """Call a coroutine with the open projects, and the generation of their ledger."""
    settings, generation = find_settings(root), [0]

    async def with_projects() -> None:
        projects = Projects(root, None, 60.0, lambda: (generation[0], written_times(settings)))
        try:
            await call(projects, generation)
        finally:
            projects.close()

    asyncio.run(with_projects())


async def shell(projects: Projects) -> dict[str, Any]:
    answer = await ask(projects)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


async def ask(projects: Projects) -> ViewAnswer:
    return await projects.call(SHELL, {}, "prod", "")


def test_a_name_that_changes_in_the_module_is_seen(root: Path) -> None:
    async def call(projects: Projects, _: list[int]) -> None:
        assert (await shell(projects))["workflow"] == "shop"
        write_project(root, 'flow = tm.Workflow("renamed")')
        assert (await shell(projects))["workflow"] == "renamed"

    play(root, call)


def test_a_workflow_whose_name_nobody_knows_is_imported_elsewhere(root: Path) -> None:
    async def call(projects: Projects, _: list[int]) -> None:
        write_project(root, 'NAME = "dyn"\nflow = tm.Workflow(NAME)')
        assert (await shell(projects))["workflow"] == "dyn"
        write_project(root, 'NAME = "dyn"\nflow = tm.Workflow(NAME)', "raise RuntimeError('boom')")
        answer = await ask(projects)
        assert (answer.status, "boom" in answer.body) == (422, True)
        # The first run tells it.
        with closing(SqliteLedger(root / ".tidemill" / "ledger.db")) as ledger:
            ledger.append([EnvironmentCreated(environment="told/trial")], now=1.0)
        assert (await shell(projects))["workflow"] == "told"
        assert "seen_flow" not in sys.modules

    play(root, call)


def test_what_is_open_forgets_a_ledger_that_was_replaced(root: Path) -> None:
    async def call(projects: Projects, generation: list[int]) -> None:
        assert (await shell(projects))["workflow"] == "shop"
        [(_, before)] = projects._callers.values()
        await shell(projects)
        assert [caller for _, caller in projects._callers.values()] == [before]
        generation[0] += 1
        await shell(projects)
        [(_, after)] = projects._callers.values()
        assert after is not before

    play(root, call)


def test_what_nobody_asked_for_lately_is_forgotten(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def call(projects: Projects, _: list[int]) -> None:
        await shell(projects)
        [(_written, caller)] = projects._callers.values()
        project = caller._project
        statuses = project.statuses
        projects.end_idle()
        await shell(projects)
        assert project.statuses is statuses
        monkeypatch.setattr("tidemill.console.view_calls._KEPT_S", -60.0)
        projects.end_idle()
        await shell(projects)
        assert caller._project is project
        assert project.statuses is not statuses

    play(root, call)


def test_whoever_looks_shares_what_was_read_of_runs_which_is_dropped(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[Project] = []
    monkeypatch.setattr(Project, "drop_old", lambda project: dropped.append(project))

    async def call(projects: Projects, _: list[int]) -> None:
        await shell(projects)
        projects.end_idle()
        await shell(projects)
        assert len(dropped) == 1

    play(root, call)
    with closing(open_recorded(root)) as project:
        assert project.acting_as(project.workspace.actor).history is project.history
