"""`kill -9` of a sweep, a backup and a restore: nothing is lost, and the next one ends what it began."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

import tidemill as tm
from tests.support.commands import edit, forgotten_imports, tidemill
from tests.support.thoroughness import examples, thorough
from tidemill.project.project import Project

# The first, the last, and some between; a soak kills more of them.
KILLS = examples(3, 30)
KEEP_NOTHING = 'keep_for = "0s"\ngrace = "0s"\nrestore_for = "0s"\nmodels = 0\n'

# The command line, killed before its n-th change of a file below a folder; says how many there were.
PROGRAM = """
import atexit, os, signal, sys
below, left, said = sys.argv[1], int(sys.argv[2]), sys.argv[3]
del sys.argv[1:4]
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.utime"}
done = 0

def count(event, given):
    global done
    if event == "open":
        writes = isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if not writes:
            return
    elif event not in CHANGES:
        return
    if isinstance(given[0], (str, os.PathLike)) and os.fspath(given[0]).startswith(below):
        done += 1
        if done == left:
            os.kill(os.getpid(), signal.SIGKILL)

def tell():
    with open(said, "w") as file:
        file.write(str(done))

from tidemill import cli
atexit.register(tell)
sys.addaudithook(count)
cli.main()
"""


class Killed:
    """A command in a project that is killed before its n-th change below a folder, or counts them."""

    def __init__(self, project: Path, below: Path, *words: str) -> None:
        self._project = project
        self._below = below
        self._words = words
        self._said = project.parent / "changes"

    def at(self, change: int) -> int:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, self._below, str(change), self._said, *self._words],
            cwd=self._project,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=False,
        )
        assert ended.returncode in (0, -signal.SIGKILL), ended
        return ended.returncode

    def again(self) -> None:
        """Let it end, in this process: to start another one takes longer than most of these commands."""
        ended = tidemill("-C", str(self._project), *self._words)
        assert ended.code == 0, ended.err

    def whole(self) -> int:
        """Let it end; return how many changes it made."""
        assert self.at(0) == 0
        return int(self._said.read_text())


@contextmanager
def opened(folder: Path) -> Iterator[Project]:
    with forgotten_imports(), tm.open(folder) as project:
        yield project


def require_sound(folder: Path) -> None:
    with opened(folder) as project:
        assert project.stored_state.verify(deep=True).problems == ()


def objects(folder: Path) -> set[str]:
    return {path.name for path in (folder / ".tidemill" / "objects").rglob("*.*")}


def moments(count: int) -> list[int]:
    """Changes before which a command is killed: the first, the last, and some between."""
    between = Random(7).sample(range(2, count), min(KILLS - 2, count - 2))
    return sorted({1, count, *between})


def copied(folder: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target


@pytest.fixture
def changed(built: Path) -> Path:
    """A project in which a sweep has something to remove."""
    edit(built / "pyproject.toml", 'keep = "400d"\n', KEEP_NOTHING)
    edit(
        built / "bakery.py",
        'pl.col("sold").cast(pl.Float64)',
        'pl.col("sold").cast(pl.Float64) + 1.0',
    )
    with opened(built) as project:
        assert project.run("labels").exit_code == 0
    return built


@thorough
def test_a_killed_sweep_removes_nothing_that_is_needed(changed: Path, tmp_path: Path) -> None:
    before = objects(changed)
    done = copied(changed, tmp_path / "done")
    count = Killed(done, done / ".tidemill", "sweep").whole()
    left = objects(done)
    assert left < before
    for moment in moments(count):
        folder = copied(changed, tmp_path / "killed")
        sweep = Killed(folder, folder / ".tidemill", "sweep")
        assert sweep.at(moment) == -signal.SIGKILL
        require_sound(folder)
        assert left <= objects(folder) <= before
        sweep.again()
        require_sound(folder)
        assert objects(folder) == left


@thorough
def test_a_killed_backup_leaves_the_one_before(built: Path, changed: Path, tmp_path: Path) -> None:
    first, target = tmp_path / "first", tmp_path / "target"
    Killed(changed, first, "home", "backup", str(first)).whole()
    with opened(changed) as project:
        project.retention.sweep()
    count = Killed(changed, target, "home", "backup", str(copied(first, target))).whole()
    for moment in moments(count):
        copied(first, target)
        backup = Killed(changed, target, "home", "backup", str(target))
        verify = Killed(changed, target, "home", "verify-backup", str(target))
        # The last change may be one that SQLite makes only sometimes.
        assert backup.at(moment) == -signal.SIGKILL or moment == count
        verify.again()
        backup.again()
        verify.again()


@thorough
def test_a_killed_restore_is_begun_anew(changed: Path, tmp_path: Path) -> None:
    home, target = changed / ".tidemill", tmp_path / "target"
    Killed(changed, target, "home", "backup", str(target)).whole()
    # What nothing needs isn't in a backup.
    restore = Killed(changed, home, "home", "restore", str(target))
    shutil.rmtree(home)
    count = restore.whole()
    whole = objects(changed)
    for moment in moments(count):
        shutil.rmtree(home)
        assert restore.at(moment) == -signal.SIGKILL
        if not (home / "ledger.db").exists():
            restore.again()
        assert objects(changed) == whole
        require_sound(changed)
