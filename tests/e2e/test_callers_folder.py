"""A run started in a hostile folder executes nothing from it, in any process that Tidemill starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tidemill
from tests.e2e.test_crash import command_line
from tests.support.tides import CHAIN
from tidemill.adapters.lanes.exit_causes import explain_failed_start
from tidemill.core.python_command import python_code, python_module

IN_WORKERS = CHAIN.replace(
    "@flow.transform\n", '@flow.transform(resources=tm.resources(lane="process"))\n'
)
PACKAGE = Path(tidemill.__file__).parent
# Modules that Tidemill, Polars or the project import, under the name that each import asks for.
PLANTED = ("msgspec", "polars", "click", "numpy", "zoneinfo", "secrets", "tides", "tidemill")
HIT = 'with open({hits!r}, "a") as file:\n    print({name!r}, file=file)\n'
# What the installed command does: its folder is the first on the path.
COMMAND = "import sys; from tidemill.cli import main; sys.argv[0] = 'tidemill'; main()"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder whose modules write their name to `hits` when one of them is imported."""
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in PLANTED:
        text = HIT.format(hits=str(tmp_path / "hits"), name=name)
        (folder / f"{name}.py").write_text(f"{text}raise ImportError('planted')\n")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    command_line(tmp_path / "proj", IN_WORKERS, 2)
    return tmp_path / "proj"


def run(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def hits(tmp_path: Path) -> list[str]:
    file = tmp_path / "hits"
    return file.read_text().split() if file.exists() else []


def test_the_planted_modules_are_imported_where_python_looks_for_them(
    tmp_path: Path, evil: Path
) -> None:
    assert run(evil, "-c", "import msgspec").returncode != 0
    assert hits(tmp_path) == ["msgspec"]


def test_workers_import_nothing_from_the_callers_folder(
    tmp_path: Path, evil: Path, project: Path
) -> None:
    done = run(evil, "-P", "-c", COMMAND, "-C", str(project), "run")
    assert (done.returncode, hits(tmp_path)) == (0, []), done.stderr


def test_a_program_that_looks_in_its_folder_itself_starts_workers_that_do_not(
    tmp_path: Path, evil: Path, project: Path
) -> None:
    # A notebook, or `python -c`: '' is the first entry of its path.
    program = f"""
import os, tidemill, tidemill.cli, polars, msgspec, numpy, sys
from tidemill.project.project import open_project
with open_project({str(project)!r}) as project:
    project.plan()
    os.chdir({str(evil)!r})
    assert project.run().status == "ok"
"""
    done = run(tmp_path, "-c", program)
    assert (done.returncode, hits(tmp_path)) == (0, []), done.stderr


def test_the_command_as_a_module_imports_nothing_from_the_callers_folder(
    tmp_path: Path, evil: Path, project: Path
) -> None:
    (evil / "tidemill.py").unlink()  # Python itself looks up the module in the folder
    done = run(evil, "-m", "tidemill", "-C", str(project), "run")
    assert (done.returncode, hits(tmp_path)) == (0, []), done.stderr


def test_repeated_steps_import_nothing_from_the_callers_folder(
    tmp_path: Path, evil: Path, project: Path
) -> None:
    assert run(project, "-m", "tidemill", "run").returncode == 0
    done = run(evil, "-P", "-c", COMMAND, "-C", str(project), "check", "--twice", "--sample", "1")
    assert (done.returncode, hits(tmp_path)) == (0, []), done.stderr


def test_comparing_with_a_git_ref_imports_nothing_from_either_folder(
    tmp_path: Path, evil: Path, project: Path
) -> None:
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(project))
    for words in (("init", "-q"), ("add", "tides.py", "pyproject.toml"), ("commit", "-qm", "a")):
        subprocess.run([*git, *words], check=True)
    done = run(evil, "-P", "-c", COMMAND, "-C", str(project), "check", "--against", "HEAD")
    assert (done.returncode, hits(tmp_path)) == (0, []), done.stderr


def test_explaining_a_failed_start_imports_nothing_from_the_callers_folder(
    tmp_path: Path, evil: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evil)
    explain_failed_start("tidemill.adapters.lanes.worker_main")
    assert hits(tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [python_module("tidemill", "--help"), python_code("import tidemill, msgspec, polars")],
)
def test_no_process_of_tidemill_looks_in_its_folder(
    tmp_path: Path, evil: Path, command: tuple[str, ...]
) -> None:
    done = subprocess.run(command, cwd=evil, capture_output=True, check=False)
    assert (done.returncode, hits(tmp_path)) == (0, [])


def test_every_process_is_started_by_these_commands() -> None:
    starts = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "sys.executable," in path.read_text(encoding="utf-8")
    }
    assert starts == {
        "core/python_command.py",
        "sources/io/first_look.py",  # a file as a program: with a safe path, nothing else is on it
        "testing/suites/executor_tasks.py",  # a user's task, which starts what it likes
    }


def test_a_worker_finds_modules_where_the_program_found_them(tmp_path: Path) -> None:
    """Folders that the program put on its path, absolute or relative, are on its workers' paths."""
    text = IN_WORKERS.replace("import polars", "from beside import FACTOR\n\nimport polars")
    command_line(tmp_path / "proj", text.replace("value * 2", "value * FACTOR"), 1)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "beside.py").write_text("FACTOR = 3\n")
    for entry in (str(tmp_path / "lib"), "lib"):
        shutil.rmtree(tmp_path / "proj" / ".tidemill", ignore_errors=True)
        program = f"""
import sys
sys.path.insert(0, {entry!r})
from tidemill.project.project import open_project
with open_project("proj") as project:
    assert project.run().status == "ok"
"""
        done = run(tmp_path, "-P", "-c", program)
        assert done.returncode == 0, done.stderr
