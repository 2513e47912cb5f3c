"""A home that is a mount point is restored; backups go wrong clearly on full and read-only file systems."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tides import Tides

# A namespace with mounts of its own, in which we are root.
INSIDE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-euc")


def _can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*INSIDE, "mount -t tmpfs none /mnt"], capture_output=True, check=False)
    return tried.returncode == 0


pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not _can_mount(), reason="nothing can be mounted here"
)

# What the command line does, for a workflow that is a file.
CALL = """
import sys
from pathlib import Path
from tidemill.core.errors import TidemillError
from tidemill.project.home_backup import HomeBackups
from tidemill.project.project import open_project
from tests.support.tides import flow_of

root, action, target = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
project = open_project(root, workflow=flow_of(root, (root / "tides.py").read_text()))
backups = HomeBackups(project.workspace)
try:
    if action == "verify":
        print(project.stored_state.verify().problems)
    else:
        backups.back_up(target) if action == "backup" else backups.restore(target)
    if action == "restore":
        assert project.stored_state.verify(deep=True).problems == ()
except TidemillError as error:
    print(f"{type(error).__name__}: {error}")
project.close()
"""


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    tides.ok()
    return tides


def call(tides: Tides, script: str) -> str:
    """Run a script in which `call` is our program with the root of the project, and `$home` is its home."""
    python = f'call() {{ "{sys.executable}" "$program" "{tides.root}" "$@"; }}'
    program = tides.root.parent / "program.py"
    program.write_text(CALL)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "program": str(program),
        "home": str(tides.root / ".tidemill"),
        "target": str(tides.root.parent / "target"),
    }
    ended = subprocess.run(
        [*INSIDE, f"{python}\n{script}"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return ended.stdout


def test_a_mount_point_becomes_a_home(tides: Tides) -> None:
    said = call(
        tides,
        'call backup "$target"; rm -r "$home"; mkdir "$home"; mount -t tmpfs none "$home"; '
        'mkdir "$home/lost+found"; call restore "$target"; ls "$home"',
    )
    names = said.split()
    assert {"ledger.db", "objects", "lost+found"} <= {*names}
    assert "restoring" not in names


def test_a_full_disk_is_named(tides: Tides) -> None:
    said = call(
        tides,
        'mkdir "$target"; mount -t tmpfs -o size=64k none "$target"; call backup "$target"; ls "$target"',
    )
    assert said.startswith("StorageError: ")
    assert "No space left on device" in said or "disk is full" in said
    assert "backup.json" not in said


def test_a_read_only_folder_is_named(tides: Tides) -> None:
    said = call(
        tides,
        'mkdir "$target"; mount -t tmpfs -o ro none "$target"; call backup "$target"',
    )
    assert said.startswith(f"StorageError: {tides.root.parent / 'target'}")
    assert "Read-only file system" in said
    assert "what the backup had before is kept" in said


@pytest.mark.parametrize("is_open", [False, True])
def test_a_ledger_on_a_read_only_disk_is_not_damaged(tides: Tides, is_open: bool) -> None:
    ledger = sqlite3.connect(tides.root / ".tidemill" / "ledger.db")
    if is_open:
        # Then there are the files that SQLite needs to read it.
        ledger.execute("SELECT count(*) FROM events").fetchone()
    said = call(
        tides,
        'mount --bind "$home" "$home"; mount -o remount,bind,ro "$home"; call verify "$target"',
    )
    ledger.close()
    # Without the files of SQLite it can't be read; with them, there is no room for what verifying notes.
    home = tides.root / ".tidemill"
    where = str(home) if is_open else f"the ledger {home / 'ledger.db'}"
    assert said.startswith(f"StorageError: {where} can't be used (")
    assert "make it writable for this user" in said


def test_a_home_on_a_full_disk_is_named(tides: Tides) -> None:
    said = call(
        tides,
        'call backup "$target"; rm -r "$home"; mkdir "$home"; mount -t tmpfs -o size=64k none "$home"; '
        'call restore "$target"; echo "left: $(ls "$home")"',
    )
    assert said.startswith("StorageError: ")
    assert "No space left on device): nothing was restored; call it again" in said
    assert said.endswith("left: \n")
