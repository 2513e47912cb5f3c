"""Memos as files: what others left behind, and what a disk refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tidemill.adapters.files.memos import FileMemos, _claim_key
from tidemill.core.errors import StorageError

SPACE = "flows.embed-0123"
INTENDS = """
import os, sys
from pathlib import Path
from tidemill.adapters.files.memos import FileMemos
memos = FileMemos(Path(sys.argv[1]))
print(memos.intend(sys.argv[2], b"theirs"), flush=True)
sys.stdin.read()
os._exit(1)
"""


def test_intents_of_dead_processes_vanish(tmp_path: Path) -> None:
    memos = FileMemos(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", INTENDS, str(tmp_path), SPACE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        theirs = other.stdout.readline().strip()
        mine = memos.intend(SPACE, b"mine")
        assert dict(memos.intents(SPACE, mine)) == {theirs: b"theirs"}
        other.kill()
        other.wait()
    assert dict(memos.intents(SPACE, mine)) == {}
    assert [path.name for path in (tmp_path / SPACE / "intents").iterdir()] == [mine]


def test_no_segment_is_missed_during_a_merge(tmp_path: Path) -> None:
    # Each segment has a byte for each that it was made of.
    memos, added, done = FileMemos(tmp_path), [0], threading.Event()

    def busy() -> None:
        other = FileMemos(tmp_path)
        for number in range(400):
            other.append(SPACE, b"x")
            added[0] = number + 1
            held = other.segments(SPACE)
            if len(held) >= 4:
                assert other.merge(SPACE, list(held), b"x" * sum(held.values()))
        done.set()

    thread = threading.Thread(target=busy)
    thread.start()
    while not done.is_set():
        before = added[0]
        assert sum(memos.segments(SPACE).values()) >= before
    thread.join()


def test_only_one_merges_at_a_time(tmp_path: Path) -> None:
    memos = FileMemos(tmp_path)
    for payload in (b"a", b"b"):
        memos.append(SPACE, payload)
    names = list(memos.segments(SPACE))
    busy = memos._claims()
    assert busy.take(_claim_key(f"{SPACE} merge"))
    assert not memos.merge(SPACE, names, b"ab")
    busy.release(_claim_key(f"{SPACE} merge"))
    assert memos.merge(SPACE, names, b"ab")


@pytest.mark.parametrize("said", ["", "soon", "1e300"])
def test_an_implausible_turn_is_ignored(tmp_path: Path, said: str) -> None:
    memos = FileMemos(tmp_path)
    (tmp_path / SPACE).mkdir(parents=True)
    (tmp_path / SPACE / "turn").write_text(said)
    assert memos.turn(SPACE, 0.001) <= 1.0


def test_a_file_being_written_is_no_segment(tmp_path: Path) -> None:
    memos = FileMemos(tmp_path)
    memos.append(SPACE, b"a")
    [name] = memos.segments(SPACE)
    (tmp_path / SPACE / "segments" / f".{name}").write_bytes(b"hal")
    assert list(memos.segments(SPACE)) == [name]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / SPACE).mkdir()
    (tmp_path / SPACE / "segments").write_text("")
    memos = FileMemos(tmp_path)
    with pytest.raises(StorageError, match="segments can't be read or written"):
        memos.segments(SPACE)
    with pytest.raises(StorageError, match="segments can't be read or written"):
        memos.append(SPACE, b"a")


def set_times(folder: Path, hours: float) -> None:
    """Make a space as old as if it had been used last at that time."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (hours * 3_600.0, hours * 3_600.0))


def test_unused_spaces_are_dropped(tmp_path: Path) -> None:
    memos = FileMemos(tmp_path)
    for space in ("old", "used"):
        memos.append(space, b"payload")
        set_times(tmp_path / space, 10.0)
    before = 20.0 * 3_600.0
    assert memos.unused_spaces(before) == {"old": 7, "used": 7}
    assert memos.unused_spaces(5.0 * 3_600.0) == {}
    # Whoever looks into a space uses it.
    assert memos.segments("used")
    assert memos.unused_spaces(before) == {"old": 7}
    assert memos.drop_space("used", before) == 0
    assert memos.drop_space("old", before) == 7
    assert memos.spaces() == ["used"]
    assert memos.drop_space("old", before) == 0
    assert not memos.segments("old")


def test_a_space_that_cannot_be_dropped_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memos = FileMemos(tmp_path)
    memos.append("old", b"payload")
    set_times(tmp_path / "old", 10.0)

    def refuse(source: str, target: str) -> None:
        raise PermissionError(13, "Permission denied", source)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        memos.drop_space("old", 1e9)
    assert memos.spaces() == ["old"]


def test_a_home_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    memos = FileMemos(home / "memo", below=home)
    intent = memos.intend(SPACE, b"mine")
    home.rename(tmp_path / "away")
    with pytest.raises(StorageError, match=r"can't be read or written .*moved or removed"):
        memos.intend(SPACE, b"again")
    assert intent
    assert not home.exists()
    FileMemos(home / "memo").intend(SPACE, b"shared")
    assert home.exists()
