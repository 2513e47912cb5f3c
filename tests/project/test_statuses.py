"""How the environment of an open project is doing."""

from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.project import statuses
from tidemill.project.project import open_project
from tidemill.project.recorded_project import open_recorded
from tidemill.project.status import read_status


def test_it_says_what_the_command_says(built: Path) -> None:
    expected = read_status(built)
    with open_project(built) as project, open_recorded(built) as recorded:
        for each in (project, recorded):
            found = each.statuses.read()
            assert (found.wrong, found.waiting, found.due) == (
                expected.wrong,
                expected.waiting,
                expected.due,
            )
            assert found.workflow == "bakery"


def test_it_is_read_again_once_something_is_recorded(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "_KNOWN_S", 1e9)
    with open_project(built) as project:
        first = project.statuses.read()
        assert project.statuses.read() is first
        project.incidents.report("the shop is closed", severity="page")
        [fact] = project.statuses.read().wrong
        assert "the shop is closed" in fact.text


def test_an_unknown_environment_is_refused(built: Path) -> None:
    with (
        open_recorded(built, environment="trial") as project,
        pytest.raises(UsageError, match="there is no environment 'trial'"),
    ):
        project.statuses.read()


def test_a_recorded_project_imports_no_workflow(built: Path) -> None:
    (built / "bakery.py").write_text('flow = tm.Workflow("bakery")\n1 / 0')
    with open_recorded(built) as project:
        assert project.workspace.declared.names == ()
        assert len(project.runs()) == 1
