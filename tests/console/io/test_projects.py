"""What is opened for whom, as the console does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tidemill.console.io.projects import Projects
from tidemill.console.resources import RESOURCES
from tidemill.project.project import open_project

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
            ("prod", NOBODY, 403),
            ("aaa", NOBODY, 403),
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
