"""Projects that are open in the console are opened again when what they rest on changes."""

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
from tidemill.console.resources import SHELL
from tidemill.console.view_calls import ViewAnswer
from tidemill.ledger.event import EnvironmentCreated
from tidemill.project.project import Project
from tidemill.project.recorded_project import open_recorded
from tidemill.project.settings import find_settings
from tidemill.project.workflow_name import written_times


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
