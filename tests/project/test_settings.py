"""Where a project is and what pyproject.toml says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.domain.errors import UsageError
from tidemill.settings import Settings, find_settings

PROJECT = '[tool.tidemill]\nworkflow = "flights:flow"\n'


def test_the_nearest_table_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PROJECT + "cpu_hour = 0.04\n")
    # A package without the table lies between.
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'a'\n")
    assert find_settings(inner) == Settings(root=tmp_path, workflow="flights:flow", cpu_hour=0.04)
    (inner / "pyproject.toml").write_text(PROJECT)
    assert find_settings(inner).root == inner


def test_every_entry_is_taken_and_a_workflow_may_be_named_instead(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        PROJECT + 'home = "state"\ncpu_hour = 1\ncurrency = "EUR"\n'
    )
    assert find_settings(tmp_path, "other:flow") == Settings(
        root=tmp_path, workflow="other:flow", home="state", cpu_hour=1, currency="EUR"
    )


def test_without_a_project_a_named_workflow_is_enough(tmp_path: Path) -> None:
    assert find_settings(tmp_path, "m:flow") == Settings(root=tmp_path, workflow="m:flow")
    with pytest.raises(UsageError, match=r"no project here.*start one with `tidemill init`"):
        find_settings(tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.tidemill]\n", 'needs workflow = "module:name"'),
        (PROJECT + "cpu_hours = 1\n", r"cpu_hours: did you mean 'cpu_hour'\?"),
        (
            PROJECT + 'root = "x"\n',
            "root: there is: cpu_hour, currency, gpus, home, idle, memo, memory, workers, workflow",
        ),
        (PROJECT + 'cpu_hour = "cheap"\n', "cpu_hour = 'cheap' is not a number"),
        (PROJECT + "home = 3\n", "home = 3 is not text"),
        (PROJECT + "workers = 1.5\n", "workers = 1.5 is not a whole number"),
        (PROJECT + "idle = nan\n", "idle = nan is not a number"),
        (PROJECT + "workers = -1\n", "workers = -1 is less than nothing"),
        (PROJECT + 'memory = "lots"\n', "memory = 'lots' is no amount of memory"),
        ("[tool.tidemill]\nworkflow = 7\n", "workflow = 7 is not text"),
        (PROJECT + "cpu_hour = true\n", "cpu_hour = True is not a number"),
        ("[tool.tidemill\n", r"pyproject\.toml can't be read: "),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(UsageError, match=says):
        find_settings(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="can't be read"):
        find_settings(tmp_path)


@pytest.mark.parametrize("text", ["tool = 3\n", "[tool]\ntidemill = 3\n", ""])
def test_other_files_are_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert find_settings(tmp_path, "m:flow").workflow == "m:flow"
