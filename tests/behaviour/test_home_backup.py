"""Backups of a home that is in use, and homes that are made of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.damage import copy_home, flip
from tests.support.tampering import unlocked
from tests.support.thoroughness import examples, thorough
from tests.support.tides import Tides, day, flow_of, rows_of
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.scratch_folder import scratch_folder
from tidemill.core.errors import ConflictError, StorageError, UsageError
from tidemill.ledger.event import Published, RunEnded, RunStarted
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.governance_events import Acted
from tidemill.ledger.retention_events import SweepMarked
from tidemill.ledger.run import Status
from tidemill.operations.io.backup_folder import BackupFolder, copy_file
from tidemill.project import home_backup
from tidemill.project.home_backup import BackupReport, HomeBackups, RestoredHome
from tidemill.project.project import open_project
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.testing.suites.ledger import nobody_is_dead


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tides:
    tides = Tides(tmp_path_factory.mktemp("built") / "project")
    for number in range(3):
        # An odd name, and a row that is quarantined.
        tides.send(number, [1.0, 2.0, None])
    tides.edit("max=1000)\n", "max=1000)\n    any_bad = tm.Budget(max_bad=1)\n")
    tides.send(1, [1.0, 5000.0])
    tides.ok()
    return tides


@pytest.fixture
def tides(built: Tides, tmp_path: Path) -> Tides:
    return copy_home(built, tmp_path / "project")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "tides"


def back_up(tides: Tides, target: Path, **options: Any) -> BackupReport:
    with closing(tides.open()) as project:
        return HomeBackups(project.workspace).back_up(target, **options)


def faults(tides: Tides, target: Path) -> tuple[str, ...]:
    with closing(tides.open()) as project:
        return HomeBackups(project.workspace).verify(target).faults


def restore(tides: Tides, target: Path, into: Path | None = None) -> RestoredHome:
    """Restore as the next command does, which opens nothing before."""
    project = open_project(tides.root, workflow=flow_of(tides.root, tides.text))
    with closing(project):
        return HomeBackups(project.workspace).restore(target, into)


def lose_home(tides: Tides) -> None:
    shutil.rmtree(tides.root / ".tidemill")


def test_a_restored_home_is_as_it_was(tides: Tides, target: Path) -> None:
    contents, quarantined = tides.contents(), tides.quarantined("raw")
    made = back_up(tides, target)
    assert faults(tides, target) == ()
    lose_home(tides)
    found = restore(tides, target)
    assert found.home == tides.root / ".tidemill"
    assert (found.manifest, found.lost_runs, found.notes) == (made.manifest, (), ())
    assert tides.contents() == contents
    assert tides.quarantined("raw").equals(quarantined)
    with closing(tides.open()) as project:
        assert project.stored_state.verify(deep=True).problems == ()
        assert project.audit.verify().problems == ()
    assert tides.ok() == {}
    tides.send(7)
    assert sorted(tides.ok()) == ["ok run daily", "ok run doubled", "ok run raw"]
    told = [event for event in tides.events("Acted") if isinstance(event, Acted)]
    assert [(event.action, event.detail) for event in told] == [
        ("back up or restore a home", "backed up"),
        ("back up or restore a home", f"restored to {found.home}"),
    ]


def test_files_are_private(tides: Tides, target: Path) -> None:
    back_up(tides, target)
    lose_home(tides)
    restore(tides, target)
    for folder in (target, tides.root / ".tidemill"):
        paths = [folder, *folder.rglob("*")]
        assert {path.stat().st_mode & 0o077 for path in paths} == {0}


def test_the_second_backup_copies_what_is_new(tides: Tides, target: Path) -> None:
    first = back_up(tides, target)
    assert back_up(tides, target).new_objects == 0
    stamps = {path: path.stat().st_mtime_ns for path in (target / "objects").rglob("*.parquet")}
    tides.send(5)
    tides.ok()
    second = back_up(tides, target)
    assert second.new_objects == second.manifest.object_count - first.manifest.object_count > 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert faults(tides, target) == ()


def test_what_the_home_does_not_need_leaves_the_backup(tides: Tides, target: Path) -> None:
    made = back_up(tides, target)
    ledger = tides.root / ".tidemill" / "ledger.db"
    with unlocked(ledger) as connection:
        connection.execute("DELETE FROM pins WHERE object IN (SELECT object FROM pins LIMIT 1)")
    assert back_up(tides, target).manifest.object_count == made.manifest.object_count - 1
    count = len(list((target / "objects").rglob("*.parquet")))
    assert count == made.manifest.object_count - 1


def test_what_is_kept_although_nothing_needs_it_is_backed_up(tides: Tides, target: Path) -> None:
    tides.edit("value * 2", "value * 3")
    tides.ok()
    with closing(tides.open()) as project:
        tools = project.tools
        [orphan] = tools.artifacts.put_all([(b"an example", ".parquet")])
        ledger = shared_ledger(tools.ledger)
        pin = project.retention.pin(orphan, reason="an example")
        old = next(iter(ledger.events(kinds=("Published",), stage="doubled")))
        assert isinstance(old.event, Published)
        [name] = old.event.binding.product.all_objects
        # A sweep marked it, and didn't delete it yet; a hold may keep it from now on.
        mark = MarkedEvents(stage="doubled", reason="superseded", events=(old.seq,))
        ledger.append([SweepMarked(sweep="s", marks=(mark,))], now=tools.clock())
    made = back_up(tides, target)
    assert (made.manifest.missing, made.notes, faults(tides, target)) == ((), (), ())
    assert BackupFolder(target).read_objects(made.manifest).keys() >= {orphan, name}
    home = tides.root / ".tidemill" / "objects"
    kept = {each: (home / each[:2] / each).read_bytes() for each in (orphan, name)}
    lose_home(tides)
    restore(tides, target)
    assert {each: (home / each[:2] / each).read_bytes() for each in kept} == kept
    with closing(tides.open()) as project:
        project.retention.unpin(pin.id)
    # It may be deleted already.
    (home / name[:2] / name).unlink()
    again = back_up(tides, target)
    assert (again.manifest.missing, again.notes) == ((), ())
    assert orphan not in BackupFolder(target).read_objects(again.manifest)


def test_what_a_killed_verification_left_is_not_backed_up(tides: Tides, target: Path) -> None:
    home = tides.root / ".tidemill"
    with scratch_folder(home / "ledger.db") as folder:
        (folder / "rebuilt.db").write_bytes(b"a copy")
        files = back_up(tides, target).manifest.files
    assert [file.path for file in files if "rebuilt" in file.path] == []


def test_a_backup_of_a_sweeping_home_is_consistent(
    tides: Tides, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object is swept after the ledger was copied: the ledger is copied again, which doesn't need it."""
    home, add, swept = tides.root / ".tidemill", BackupFolder.add_objects, [""]

    def after_a_sweep(folder: Any, names: Any, at: Path) -> Any:
        if not swept[0]:
            swept[0] = sorted(names)[0]
            with unlocked(home / "ledger.db") as connection:
                connection.execute("DELETE FROM pins WHERE object = ?", (swept[0],))
            FileArtifacts(home).remove([swept[0]])
        return add(folder, names, at)

    monkeypatch.setattr(BackupFolder, "add_objects", after_a_sweep)
    made = back_up(tides, target)
    assert made.manifest.missing == made.notes == ()
    assert not BackupFolder(target).object_path(swept[0]).exists()


def test_a_run_beside_it_is_whole_or_absent(tides: Tides, target: Path) -> None:
    for number in range(10, 20):
        tides.send(number)
    project = tides.open()
    thread = threading.Thread(target=project.run)
    thread.start()
    try:
        for _ in range(3):
            back_up(tides, target)
    finally:
        thread.join()
        project.close()
    assert faults(tides, target) == ()
    back_up(tides, target)
    lose_home(tides)
    restore(tides, target)
    assert tides.ok() == {}
    assert len(tides.published()["daily"]) == 13


def test_missing_and_damaged_objects_are_noted(tides: Tides, target: Path) -> None:
    objects = sorted((tides.root / ".tidemill" / "objects").rglob("*.parquet"))
    objects[0].unlink()
    flip(objects[1], 100)
    made = back_up(tides, target)
    assert made.manifest.missing == tuple(sorted(path.name for path in objects[:2]))
    assert "2 objects are missing or damaged in the home, and so in the backup" in made.notes[0]
    assert faults(tides, target) == ()
    lose_home(tides)
    assert restore(tides, target).notes == made.notes
    # The next run computes them, as it would have in the old home.
    contents = tides.contents()
    assert tides.run().exit_code == 0
    assert tides.contents() == contents


@pytest.mark.parametrize("which", ["object", "file", "list"])
@pytest.mark.parametrize("how", ["flipped", "cut off"])
def test_the_next_backup_mends_what_is_damaged(
    tides: Tides, target: Path, which: str, how: str
) -> None:
    folder, manifest = BackupFolder(target), back_up(tides, target).manifest
    path = {
        "object": sorted((target / "objects").rglob("*.parquet"))[0],
        "file": folder.path_of(manifest.files[-1]),
        "list": folder.path_of(manifest.objects),
    }[which]
    if how == "flipped":
        flip(path, 20)
    else:
        path.write_bytes(path.read_bytes()[:-1])
    assert faults(tides, target) != ()
    if (which, how) == ("object", "flipped"):
        # That is only noticed by who reads it.
        assert back_up(tides, target, is_quick=True).notes == ()
    assert back_up(tides, target).notes == ("wrote 1 damaged file of the backup anew",)
    assert faults(tides, target) == ()
    assert back_up(tides, target).notes == ()


@pytest.mark.parametrize("is_quick", [False, True])
def test_what_the_home_lost_stays_in_the_backup(tides: Tides, target: Path, is_quick: bool) -> None:
    made = back_up(tides, target)
    objects = sorted((tides.root / ".tidemill" / "objects").rglob("*.parquet"))
    objects[0].unlink()
    flip(objects[1], 100)
    objects[2].write_bytes(objects[2].read_bytes()[:-1])
    again = back_up(tides, target, is_quick=is_quick)
    assert (again.manifest.missing, again.notes) == ((), ())
    assert again.manifest.object_count == made.manifest.object_count
    assert faults(tides, target) == ()


@pytest.mark.parametrize("text", ["", "{}", "\udcff"])
def test_a_damaged_manifest_is_written_anew(tides: Tides, target: Path, text: str) -> None:
    made = back_up(tides, target)
    (target / "backup.json").write_text(text, errors="surrogateescape")
    with pytest.raises(StorageError, match=r"backup\.json can't be used"):
        faults(tides, target)
    assert back_up(tides, target).manifest.object_count == made.manifest.object_count
    assert faults(tides, target) == ()


def test_a_backup_of_a_newer_version_is_left_alone(tides: Tides, target: Path) -> None:
    text = back_up(tides, target).manifest.text.replace("backup/1", "backup/2")
    (target / "backup.json").write_text(text)
    for call in (back_up, faults):
        with pytest.raises(StorageError, match=r"backup/2.*a newer Tidemill.*pip install -U"):
            call(tides, target)
    assert (target / "backup.json").read_text() == text
    lose_home(tides)
    with pytest.raises(StorageError, match="a newer Tidemill"):
        restore(tides, target)
    assert not (tides.root / ".tidemill").exists()


def test_a_lost_list_is_made_anew(tides: Tides, target: Path) -> None:
    manifest = back_up(tides, target).manifest
    BackupFolder(target).path_of(manifest.objects).unlink()
    assert back_up(tides, target).new_objects == manifest.object_count
    assert faults(tides, target) == ()


def test_leases_and_runs_end_with_the_old_home(tides: Tides, target: Path) -> None:
    path = tides.root / ".tidemill" / "ledger.db"
    ledger = SqliteLedger(path)
    lease = ledger.acquire("tides/run:prod", {"pid": "1"}, now=4e9, ttl=9e9, dead=nobody_is_dead)
    started = RunStarted(
        run="run-1", environment="tides/prod", command="run", holder={"pid": "1"}, steps=1
    )
    ledger.append([started], now=1.0)
    ledger.close()
    back_up(tides, target)
    lose_home(tides)
    assert restore(tides, target).lost_runs == ("run-1",)
    ends = [event for event in tides.events("RunEnded") if isinstance(event, RunEnded)]
    assert (ends[-1].run, ends[-1].status) == ("run-1", Status.LOST)
    ledger = SqliteLedger(path)
    with pytest.raises(ConflictError, match="lease"):
        ledger.renew(lease, now=4e9, ttl=1.0)
    ledger.close()
    tides.send(7)
    assert tides.ok() != {}


@pytest.mark.parametrize("into", ["", "elsewhere"])
def test_a_home_with_something_is_not_restored_to(tides: Tides, target: Path, into: str) -> None:
    back_up(tides, target)
    other = tides.root / into / "x" if into else None
    if other is not None:
        other.mkdir(parents=True)
        (other / "file").touch()
    with pytest.raises(UsageError, match="isn't empty"):
        restore(tides, target, other)


def test_odd_places_are_refused(tides: Tides, target: Path, tmp_path: Path) -> None:
    back_up(tides, target)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for place, says in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "link", "is a link to nothing"),
        (target / "home", "lies in the backup"),
        (target, "isn't empty"),
    ):
        with pytest.raises(UsageError, match=says):
            restore(tides, target, place)
    assert faults(tides, target) == ()


def test_a_place_may_be_written_with_dots(
    tides: Tides, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(tides, target)
    monkeypatch.chdir(tides.root)
    for number, into in enumerate((Path("../above/0"), tides.root / ".." / "above" / "1")):
        found = restore(tides, target, into)
        assert found.home == tides.root.parent / "above" / str(number)
        assert (found.home / "ledger.db").exists()


def test_a_link_to_a_folder_becomes_a_home(tides: Tides, target: Path, tmp_path: Path) -> None:
    back_up(tides, target)
    lose_home(tides)
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    (tides.root / ".tidemill").symlink_to(tmp_path / "disk")
    restore(tides, target)
    assert (tmp_path / "disk" / "ledger.db").exists()
    assert tides.ok() == {}


RESTORED = """
import sys
from pathlib import Path
from unittest.mock import patch
import os, signal
from tidemill.project.home_backup import HomeBackups
from tidemill.project.project import open_project
from tests.support.tides import flow_of

left = int(sys.argv[3])

def dying(event, given):
    global left
    if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir") and ".tidemill" in str(given[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

root = Path(sys.argv[1])
project = open_project(root, workflow=flow_of(root, (root / "tides.py").read_text()))
sys.addaudithook(dying)
HomeBackups(project.workspace).restore(Path(sys.argv[2]))
print(left)
"""


@thorough
def test_a_killed_restore_leaves_no_home_or_all_of_it(tides: Tides, target: Path) -> None:
    """It is killed before each thing that it does to the folders of the home."""
    back_up(tides, target)
    home, contents = tides.root / ".tidemill", tides.contents()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(moment: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", RESTORED, str(tides.root), str(target), str(moment)]
        return subprocess.run(command, env=environment, check=False, capture_output=True, text=True)

    lose_home(tides)
    steps = 10**6 - int(run(10**6).stdout)
    assert steps > 10
    told = set[str]()
    # Of those that are alike, the making of folders, some.
    stride = 14 // examples(7, 14)
    for moment in sorted({1, steps // 3, *range(steps - 12, steps + 1, stride)}):
        shutil.rmtree(home, ignore_errors=True)
        assert run(moment).returncode == -signal.SIGKILL
        if (home / "ledger.db").exists():
            told.add("all")
        else:
            if (home / "restoring").exists():
                told.add("part")
                with pytest.raises(StorageError, match=r"is being restored, or .* call it again"):
                    tides.contents()
            else:
                told.add("nothing")
            restore(tides, target)
        assert tides.contents() == contents
        assert not faults_of_home(tides)
    assert told == {"all", "part", "nothing"}


def faults_of_home(tides: Tides) -> Any:
    with closing(tides.open()) as project:
        return project.stored_state.verify(deep=True).problems


def test_what_somebody_put_into_a_partly_restored_home_is_kept(
    tides: Tides, target: Path, tmp_path: Path
) -> None:
    back_up(tides, target)
    place = tmp_path / "home"
    (place / "restoring" / "home").mkdir(parents=True)
    (place / "restoring" / "moved.json").write_text('["objects", "ledger.db"]')
    (place / "objects").mkdir()
    (place / "mine.txt").touch()
    with pytest.raises(UsageError, match=r"isn't empty \(it has mine\.txt\)"):
        restore(tides, target, place)
    assert (place / "objects").exists()
    (place / "mine.txt").unlink()
    restore(tides, target, place)
    assert sorted(path.name for path in place.iterdir() if "gitignore" not in path.name)[0] == (
        "ledger.db"
    )


def test_two_restores_at_once(tides: Tides, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    back_up(tides, target)
    lose_home(tides)
    copy, refused = copy_file, list[str]()

    def beside(source: Path, place: Path) -> Any:
        if place.is_relative_to(tides.root) and not refused:
            refused.append("")
            with pytest.raises(ConflictError, match="another restore to"):
                restore(tides, target)
        return copy(source, place)

    monkeypatch.setattr(home_backup, "copy_file", beside)
    restore(tides, target)
    assert refused
    assert tides.ok() == {}


def test_an_empty_folder_becomes_a_home(tides: Tides, target: Path, tmp_path: Path) -> None:
    back_up(tides, target)
    (tmp_path / "new").mkdir()
    found = restore(tides, target, tmp_path / "new")
    assert found.home == tmp_path / "new"
    assert (tmp_path / "new" / "ledger.db").exists()
    assert tides.ok() == {}


@pytest.mark.parametrize("which", ["object", "ledger", "file", "list", "manifest"])
@pytest.mark.parametrize("how", ["flipped", "removed"])
def test_a_damaged_backup_is_refused(tides: Tides, target: Path, which: str, how: str) -> None:
    folder, manifest = BackupFolder(target), back_up(tides, target).manifest
    path = {
        "object": sorted((target / "objects").rglob("*.parquet"))[0],
        "ledger": folder.path_of(manifest.ledger),
        "file": folder.path_of(manifest.files[-1]),
        "list": folder.path_of(manifest.objects),
        "manifest": target / "backup.json",
    }[which]
    if how == "flipped":
        flip(path, 20)
    else:
        path.unlink()
    shutil.move(tides.root / ".tidemill", tides.root / "away")
    with pytest.raises((StorageError, UsageError), match=path.name):
        restore(tides, target)
    assert not (tides.root / ".tidemill" / "objects").exists()


def test_a_ledger_that_was_changed_before_the_backup_is_found(tides: Tides, target: Path) -> None:
    with unlocked(tides.root / ".tidemill" / "ledger.db") as connection:
        connection.execute("UPDATE events SET at = at + 1 WHERE seq = 3")
    back_up(tides, target)
    assert "the hash chain is broken at event 3" in faults(tides, target)[0]


KILLED = """
import sys
from pathlib import Path
from unittest.mock import patch
import os, signal
from tidemill.operations.io import backup_folder
from tidemill.project.home_backup import HomeBackups
from tidemill.project.project import open_project
from tests.support.tides import flow_of

copy, left = backup_folder.copy_file, int(sys.argv[3])

def copied(source, target):
    global left
    found = copy(source, target)
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

patch.object(backup_folder, "copy_file", copied).start()
root = Path(sys.argv[1])
project = open_project(root, workflow=flow_of(root, (root / "tides.py").read_text()))
HomeBackups(project.workspace).back_up(Path(sys.argv[2]))
"""


@pytest.mark.parametrize("moment", [1, 3, 12])
def test_after_a_kill_the_next_backup_completes_it(tides: Tides, target: Path, moment: int) -> None:
    first = back_up(tides, target).manifest
    for number in range(20, 26):
        tides.send(number)
    tides.ok()
    command = [sys.executable, "-c", KILLED, str(tides.root), str(target), str(moment)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=environment, check=False)
    assert ended.returncode == -signal.SIGKILL
    # The one before is still whole.
    assert BackupFolder(target).read() == first
    assert faults(tides, target) == ()
    made = back_up(tides, target)
    assert made.manifest.events > first.events
    assert faults(tides, target) == ()
    assert list(target.glob("new-*")) == []


def test_an_interrupted_restore_leaves_no_home(
    tides: Tides, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(tides, target)
    lose_home(tides)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(home_backup, "copy_file", full)
        with pytest.raises(StorageError, match="No space left on device"):
            restore(tides, target)
    assert not (tides.root / ".tidemill").exists()


def test_a_backup_that_cannot_be_written_keeps_the_one_before(
    tides: Tides, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = back_up(tides, target).manifest

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    tides.send(9)
    tides.ok()
    with monkeypatch.context() as patched:
        patched.setattr("tidemill.operations.io.backup_folder.copy_file", full)
        with pytest.raises(StorageError, match="somewhere can't be read or written"):
            back_up(tides, target)
    assert BackupFolder(target).read() == first
    assert faults(tides, target) == ()


def test_other_folders_are_refused(tides: Tides, target: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(UsageError, match="has other files than a backup"):
        back_up(tides, tmp_path / "full")
    for folder in (tides.root / ".tidemill" / "copy", tides.root):
        with pytest.raises(UsageError, match="lie in each other"):
            back_up(tides, folder)
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for odd in (tmp_path / "full" / "mine.txt", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="isn't a folder"):
            back_up(tides, odd)
        with pytest.raises(UsageError, match="no complete backup"):
            faults(tides, odd)
    with pytest.raises(UsageError, match="no complete backup"):
        faults(tides, target)
    fresh = Tides(tmp_path / "fresh")
    project = open_project(fresh.root, workflow=flow_of(fresh.root, fresh.text))
    with closing(project), pytest.raises(UsageError, match="there is no ledger"):
        HomeBackups(project.workspace).back_up(target)


def test_memos_outside_of_the_home_are_noted(tides: Tides, target: Path) -> None:
    with closing(tides.open()) as project:
        object.__setattr__(project.settings, "memo", "../memo")
        made = HomeBackups(project.workspace).back_up(target)
    assert made.notes == (
        "results of memos in ../memo aren't in the backup: they lie outside of the home",
    )


def test_a_ledger_of_a_newer_version_is_named(tides: Tides, target: Path) -> None:
    with unlocked(tides.root / ".tidemill" / "ledger.db") as connection:
        shown = connection.execute("PRAGMA user_version").fetchone()[0]
    back_up(tides, target)
    folder = BackupFolder(target)
    manifest = folder.read()
    newer = tides.root / "newer.db"
    newer.write_bytes(folder.path_of(manifest.ledger).read_bytes())
    with unlocked(newer) as connection:
        connection.execute(f"PRAGMA user_version = {shown + 1}")
    file = folder.add("ledger.db", newer)
    assert file is not None
    (target / "backup.json").write_text(replace(manifest, ledger=file).text)
    assert "pip install -U tidemill" in faults(tides, target)[0]


def test_an_object_that_is_not_listed_is_found(tides: Tides, target: Path) -> None:
    back_up(tides, target)
    folder = BackupFolder(target)
    manifest = folder.read()
    lines = folder.path_of(manifest.objects).read_text().splitlines(keepends=True)
    fewer = folder.add_text("objects", "".join(lines[1:]))
    (target / "backup.json").write_text(replace(manifest, objects=fewer).text)
    assert faults(tides, target) == ("its ledger needs 1 object that it doesn't list",)


def test_an_object_that_is_damaged_while_it_is_read_is_not_restored(
    tides: Tides, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(tides, target)
    lose_home(tides)
    monkeypatch.setattr(home_backup, "file_is_sound", lambda *_: True)
    flip(sorted((target / "objects").rglob("*.parquet"))[0], 20)
    with pytest.raises(StorageError, match="was damaged while it was read: nothing was restored"):
        restore(tides, target)
    assert not (tides.root / ".tidemill").exists()


def test_two_backups_at_once(tides: Tides, target: Path) -> None:
    back_up(tides, target)
    with BackupFolder(target).writing(), pytest.raises(ConflictError, match="another backup"):
        back_up(tides, target)


def test_keys_are_left_out_unless_they_are_wanted(tides: Tides, target: Path) -> None:
    key = tides.root / ".tidemill" / "pickle.key"
    key.write_text("secret")
    made = back_up(tides, target)
    assert "pickle.key is a key and isn't in the backup" in made.notes[0]
    assert "pickle.key" not in [file.path for file in made.manifest.files]
    made = back_up(tides, target, with_keys=True)
    assert made.notes == ()
    lose_home(tides)
    restore(tides, target)
    assert key.read_text() == "secret"


@pytest.mark.parametrize("path", ["../../evil", "logs/../../../evil", "/evil"])
def test_a_file_outside_of_the_home_is_refused(tides: Tides, target: Path, path: str) -> None:
    manifest = back_up(tides, target).manifest
    folder = BackupFolder(target)
    file = replace(folder.add_text("../../evil", "text"), path=path)
    bad = replace(manifest, files=(*manifest.files, file))
    (target / "backup.json").write_text(bad.text)
    lose_home(tides)
    with pytest.raises(StorageError, match="outside of a home"):
        restore(tides, target)
    assert not (tides.root.parent / "evil").exists()


def test_another_file_system(tides: Tides) -> None:
    here = tides.root.stat().st_dev
    others = [Path("/dev/shm"), Path("/var/tmp"), Path.cwd()]
    places = [place for place in others if place.is_dir() and place.stat().st_dev != here]
    if not places:
        pytest.skip("there is no second file system")
    target = places[0] / f"tidemill-{os.getpid()}"
    try:
        back_up(tides, target)
        assert faults(tides, target) == ()
        lose_home(tides)
        restore(tides, target)
        assert tides.ok() == {}
    finally:
        shutil.rmtree(target)


def test_odd_data(tmp_path: Path, target: Path) -> None:
    """A file with a name that isn't plain, no row, and partitions that a branch has."""
    tides = Tides(tmp_path / "odd project ü")
    tides.send(0, [])
    tides.send(1)
    tides.put("a b'c.parquet", rows_of(2))
    tides.run()
    contents = tides.contents()
    back_up(tides, target)
    lose_home(tides)
    restore(tides, target)
    assert tides.contents() == contents
    assert day(2) in tides.published()["daily"]
