"""Errors of the user's own module are shown as theirs."""

from pathlib import Path

import pytest

from tests.support.commands import tidemill


def workflow(folder: Path, text: str) -> None:
    (folder / "flow.py").write_text(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "last", "error"),
    [
        (
            "def window():\n    import tidemill as tm\n    return tm.last('x')\nwindow()\n",
            "ValueError: 'x' is not a length of time",
            "the workflow can't be imported: it raised ValueError",
        ),
        (
            "import no_such_package\n",
            "ModuleNotFoundError: No module named 'no_such_package'",
            "the workflow imports 'no_such_package', which isn't installed",
        ),
        ("def (\n", "SyntaxError: invalid syntax", "it raised SyntaxError"),
    ],
)
def test_only_the_users_frames_are_shown(here: Path, text: str, last: str, error: str) -> None:
    workflow(here, text)
    ended = tidemill("plan", "-w", "flow:flow")
    assert (ended.code, ended.out) == (1, "")
    assert f'File "{here / "flow.py"}"' in ended.err
    assert "/tidemill/" not in ended.err.replace(str(here), "")
    assert "importlib" not in ended.err
    assert last in ended.err
    assert error in ended.err.splitlines()[-1]


def test_an_error_of_ours_needs_no_trace(here: Path) -> None:
    workflow(here, "import tidemill as tm\nclass A(tm.Contract):\n    a = tm.Int64(min=2, max=1)\n")
    ended = tidemill("plan", "-w", "flow:flow")
    assert ended.code == 3
    assert ended.err.startswith("error: flow.py:2: contract A: a: min=2 is above max=1")


def test_a_workflow_that_is_not_there(here: Path) -> None:
    workflow(here, "import tidemill as tm\nflow = tm.Workflow('w')\n")
    ended = tidemill("plan", "-w", "flow:flw")
    assert ended.code == 2
    assert "did you mean 'flow'?" in ended.err
