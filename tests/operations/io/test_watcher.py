"""Files are watched by events, and listed where there are none."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from select import select

import pytest

from tests.support.waiting import PATIENCE_S
from tidemill.operations.io import watcher as module
from tidemill.operations.io.inotify import OVERFLOW, FolderEvent, Inotify
from tidemill.operations.io.watcher import FileWatcher

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="only Linux has inotify")


class Watched:
    """A watcher of one source in a folder."""

    def __init__(self, folder: Path, *patterns: str) -> None:
        self.folder = folder
        self.watcher = FileWatcher({"sales": [str(folder / pattern) for pattern in patterns]})

    def examples(self, last: str) -> set[str]:
        """What has changed, once `last` has."""
        found: set[str] = set()
        while last not in found:
            number = self.watcher.fileno()
            assert number is not None
            assert select([number], [], [], PATIENCE_S)[0], found
            found |= {os.path.relpath(seen.example, self.folder) for seen in self.watcher.read(0.0)}
        return found

    def silence(self) -> None:
        """Nothing that was told until now concerns the source."""
        assert [*self.watcher.read(0.0)] == []


def listed(watcher: FileWatcher, *, every: bool = False) -> list[list[str]]:
    """The sources that three looks find changed."""
    return [
        [seen.source for seen in watcher.list_changes(float(look), 9.0, every=every)]
        for look in range(3)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path


def test_files_that_match_are_seen(folder: Path) -> None:
    watched = Watched(folder, "data/*.csv")
    (folder / "data" / "a.txt").write_text("x")
    (folder / "data" / ".a.csv").write_text("x")
    (folder / "data" / "a.csv").write_text("x")
    assert watched.examples("data/a.csv") == {"data/a.csv"}


def test_renames_links_and_removals_are_seen(folder: Path) -> None:
    (folder / "data" / "old.csv").write_text("x")
    watched = Watched(folder, "data/*.csv")
    (folder / "data" / "a.tmp").write_text("x")
    os.rename(folder / "data" / "a.tmp", folder / "data" / "a.csv")
    os.link(folder / "data" / "a.csv", folder / "data" / "b.csv")
    os.unlink(folder / "data" / "old.csv")
    assert watched.examples("data/old.csv") == {"data/a.csv", "data/b.csv", "data/old.csv"}


def test_a_folder_that_appears_later_is_watched_with_what_is_in_it(folder: Path) -> None:
    watched = Watched(folder, "in/*/sales/*.csv")
    (folder / "out").mkdir()
    (folder / "in" / "2026" / "sales").mkdir(parents=True)
    (folder / "in" / "2026" / "sales" / "a.csv").write_text("x")
    assert watched.examples("in")
    (folder / "in" / "2026" / "sales" / "b.csv").write_text("x")
    assert "in/2026/sales/b.csv" in watched.examples("in/2026/sales/b.csv")
    (folder / "in" / "2027" / "sales").mkdir(parents=True)
    watched.examples("in/2027")
    (folder / "in" / "2027" / "sales" / "c.csv").write_text("x")
    watched.examples("in/2027/sales/c.csv")


def test_any_depth_is_watched(folder: Path) -> None:
    (folder / "data" / "a" / "b").mkdir(parents=True)
    os.symlink(folder / "data", folder / "data" / "a" / "loop")
    watched = Watched(folder, "data/**/*.csv")
    (folder / "data" / "a" / "b" / "x.csv").write_text("x")
    watched.examples("data/a/b/x.csv")
    (folder / "data" / "a" / "b" / "c" / "d").mkdir(parents=True)
    watched.examples("data/a/b/c")
    (folder / "data" / "a" / "b" / "c" / "d" / "y.csv").write_text("x")
    watched.examples("data/a/b/c/d/y.csv")


def test_a_folder_that_is_replaced_is_watched_again(folder: Path) -> None:
    watched = Watched(folder, "data/*.csv")
    os.rename(folder / "data", folder / "before")
    (folder / "new").mkdir()
    (folder / "new" / "a.csv").write_text("x")
    os.rename(folder / "new", folder / "data")
    watched.examples("data")
    (folder / "data" / "b.csv").write_text("x")
    watched.examples("data/b.csv")
    shutil.rmtree(folder / "data")
    watched.examples("data")
    (folder / "data").mkdir()
    watched.examples("data")
    (folder / "data" / "c.csv").write_text("x")
    watched.examples("data/c.csv")
    # What is written where it was moved to doesn't concern it.
    (folder / "before" / "d.csv").write_text("x")
    watched.silence()


def test_lost_events_are_a_change_of_everything(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder, "data/*.csv")
    lost = FolderEvent(-1, OVERFLOW, "")
    monkeypatch.setattr(Inotify, "read", lambda self: iter([lost]))
    assert [*watched.watcher.read(0.0)] == [("sales", "")]


def limit_watches(monkeypatch: pytest.MonkeyPatch, number: int, code: int) -> None:
    add, added = Inotify.add, []

    def add_some(self: Inotify, path: str) -> int:
        added.append(path)
        if len(added) > number:
            raise OSError(code, os.strerror(code))
        return add(self, path)

    monkeypatch.setattr(Inotify, "add", add_some)


def test_beyond_the_limit_of_watches_files_are_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (folder / "data" / str(number)).mkdir()
    limit_watches(monkeypatch, 5, errno.ENOSPC)
    watcher = FileWatcher({"sales": [str(folder / "data" / "*" / "*.csv")]})
    (note,) = watcher.notes
    assert note.startswith("sales is listed: the limit of watches (")
    assert "sysctl fs.inotify.max_user_watches" in note
    assert listed(watcher) == [[], [], []]
    (folder / "data" / "19" / "a.csv").write_text("x")
    assert listed(watcher) == [[], ["sales"], []]
    os.unlink(folder / "data" / "19" / "a.csv")
    assert listed(watcher) == [[], ["sales"], []]
    watcher.close()


def test_a_folder_that_may_not_be_read_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_watches(monkeypatch, 0, errno.EACCES)
    (note,) = FileWatcher({"sales": [str(folder / "data" / "*.csv")]}).notes
    assert "can't be watched: Permission denied" in note


def test_a_system_without_watches_lists_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.operations.io.inotify.sys.platform", "other")
    watcher = FileWatcher({"sales": [str(folder / "data" / "*.csv")]})
    assert watcher.fileno() is None
    assert watcher.notes == ("sales is listed: inotify can't be used: this system has no inotify",)
    assert [*watcher.read(0.0)] == []
    (folder / "data" / "a.csv").write_text("x")
    assert listed(watcher) == [[], ["sales"], []]
    watcher.close()


def test_files_of_other_machines_are_listed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:5 / {folder / 'data'} rw shared:1 - nfs4 server:/x rw\n"
    )
    monkeypatch.setattr(module, "_MOUNTS", mounts)
    watcher = FileWatcher(
        {"sales": [str(folder / "data" / "*.csv")], "tills": [str(folder / "*.csv")]}
    )
    assert watcher.notes == ("sales is listed: its files are on a file system of others (nfs4)",)
    monkeypatch.setattr(module, "_MOUNTS", tmp_path / "nowhere")
    assert FileWatcher({"sales": [str(folder / "data" / "*.csv")]}).notes == ()


def test_a_file_is_written_until_it_is_closed(folder: Path) -> None:
    watched = Watched(folder, "data/*.csv")
    path = folder / "data" / "a.csv"
    with path.open("w") as file:
        assert watched.examples("data/a.csv") == {"data/a.csv"}
        assert watched.watcher.writing == {str(path): 0.0}
        for part in "ab":
            file.write(part)
            file.flush()
            assert watched.examples("data/a.csv") == {"data/a.csv"}
            assert watched.watcher.writing == {str(path): 0.0}
    watched.examples("data/a.csv")
    assert watched.watcher.writing == {}


@pytest.mark.parametrize("end", ["rename", "remove", "move the folder"])
def test_a_file_that_is_gone_is_not_written(folder: Path, end: str) -> None:
    watched = Watched(folder, "data/*.csv")
    path = folder / "data" / "a.csv"
    with path.open("w"):
        watched.examples("data/a.csv")
        if end == "rename":
            path.rename(folder / "data" / "a.old")
        elif end == "remove":
            path.unlink()
        else:
            (folder / "data").rename(folder / "old")
        watched.examples("data" if end == "move the folder" else "data/a.csv")
        assert watched.watcher.writing == {}


def test_a_link_is_whole_and_so_is_a_file_that_is_moved_in(folder: Path) -> None:
    (folder / "whole.csv").write_text("x")
    watched = Watched(folder, "data/*.csv")
    (folder / "data" / "linked.csv").hardlink_to(folder / "whole.csv")
    (folder / "whole.csv").rename(folder / "data" / "moved.csv")
    assert watched.examples("data/moved.csv") == {"data/linked.csv", "data/moved.csv"}
    (folder / "data" / "dangling.csv").symlink_to("nowhere")
    (folder / "data" / "gone.csv").symlink_to("nowhere")
    (folder / "data" / "gone.csv").unlink()
    watched.examples("data/gone.csv")
    assert watched.watcher.writing == {}


def test_code_is_not_waited_for(folder: Path) -> None:
    watcher = FileWatcher({"": [str(folder / "*.py")]})
    with (folder / "shop.py").open("w") as file:
        file.write("flow = 1")
        file.flush()
        number = watcher.fileno()
        assert number is not None
        assert select([number], [], [], PATIENCE_S)[0]
        assert {*watcher.read(0.0)} == {("", str(folder / "shop.py"))}
        assert watcher.writing == {}
    assert listed(watcher, every=True) == [[""], [], []]


def test_a_listed_source_that_never_rests_is_told_all_the_same(folder: Path) -> None:
    watcher = FileWatcher({"sales": [str(folder / "data" / "*.csv")]})
    told = []
    for look in range(12):
        (folder / "data" / "a.csv").write_text("x" * look)
        told.append(len([*watcher.list_changes(float(look), 5.0, every=True)]))
        assert watcher.unsettled
    assert told == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


def test_everything_is_listed_now_and_then(folder: Path) -> None:
    watched = Watched(folder, "data/*.csv")
    assert listed(watched.watcher, every=True) == [[], [], []]
    (folder / "data" / "a.csv").write_text("x")
    assert listed(watched.watcher) == [[], [], []]
    assert listed(watched.watcher, every=True) == [[], ["sales"], []]
    watched.watcher.close()
    watched.watcher.close()
