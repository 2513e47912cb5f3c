"""Source files that are replaced or rewritten: noticed, whatever their size and modification time say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tides import Tides, day, rows_of
from tidemill.sources.io import file_listing


def write_aged(path: Path, value: float) -> None:
    """Write a file of one day that seems to be an hour old; all values give the same size."""
    rows_of(0, [value, 2.0, 3.0]).write_parquet(path, compression="uncompressed")
    then = path.stat().st_mtime_ns // 1_000_000_000 * 1_000_000_000 - 3_600_000_000_000
    os.utime(path, ns=(then, then))


def copy_with_times(source: Path, target: Path) -> None:
    """`cp -p`: into the file that is there."""
    with source.open("rb") as read, target.open("r+b") as write:
        shutil.copyfileobj(read, write)
    shutil.copystat(source, target)


def replace_with_times(source: Path, target: Path) -> None:
    """`rsync -t`: by a new file under a temporary name."""
    shutil.copy2(source, target.with_name(".temporary"))
    target.with_name(".temporary").replace(target)


@pytest.fixture
def tides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tides:
    """A project whose only file was read, at a time when its times could be trusted."""
    monkeypatch.setattr(file_listing, "_SETTLED_NS", -60_000_000_000)
    tides = Tides(tmp_path)
    write_aged(tmp_path / "data" / "a.parquet", 1.0)
    tides.ok()
    return tides


@pytest.mark.parametrize("act", [copy_with_times, replace_with_times])
def test_a_copy_that_keeps_size_and_time_is_noticed(
    tides: Tides, act: Callable[[Path, Path], None]
) -> None:
    path, other = tides.root / "data" / "a.parquet", tides.root / "other.parquet"
    before = path.stat()
    write_aged(other, 9.0)
    os.utime(other, ns=(before.st_mtime_ns, before.st_mtime_ns))
    act(other, path)
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert tides.ok()["ok run raw"] == [day(0)]
    assert 9.0 in tides.read("raw")["value"].to_list()
    assert tides.ok() == {}


def test_an_unchanged_file_is_not_opened(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it was hashed")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    assert tides.ok() == {}


def test_a_change_of_the_inode_alone_changes_nothing(tides: Tides) -> None:
    path = tides.root / "data" / "a.parquet"
    path.chmod(0o600)
    assert tides.ok() == {}
    replace_with_times(path, path)
    assert tides.ok() == {}


def test_all_files_are_hashed_on_request(tides: Tides, monkeypatch: pytest.MonkeyPatch) -> None:
    write_aged(tides.root / "data" / "a.parquet", 9.0)
    # As if nothing but the content had changed.
    monkeypatch.setattr(file_listing, "seems_unchanged", lambda file, stat: True)
    assert tides.ok() == {}
    assert tides.ok(verify_sources=True)["ok run raw"] == [day(0)]
    assert tides.open().plan(verify_sources=True).empty
