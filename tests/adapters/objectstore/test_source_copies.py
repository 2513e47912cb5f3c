"""Copies of source files on this machine: verified, shared by processes, and of a limited size."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tidemill.adapters.objectstore.source_copies import SourceCopies
from tidemill.core.errors import SourceError, StorageError

LIMIT = 1 << 20


def sha(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_found_by_its_content(tmp_path: Path) -> None:
    copies = SourceCopies(tmp_path / "c", LIMIT)
    assert not copies.has(sha(b"rows"))
    assert copies.path(sha(b"rows"), "file.csv") is None
    found = copies.add([b"ro", b"ws"], 4)
    assert (found.digest, found.md5) == (sha(b"rows"), hashlib.md5(b"rows").hexdigest())
    assert copies.has(found.digest)
    for name in ("file.csv", "file.tsv", "day=1/x=ä/file.csv", "file.csv"):
        path = copies.path(found.digest, name)
        assert path is not None
        assert (path.read_bytes(), str(path).endswith(f"/{name}")) == (b"rows", True)
    # It takes up room once.
    assert len({os.stat(tmp_path / "c" / name).st_ino for name in files_in(tmp_path / "c")}) == 1


def test_where_there_are_no_links_there_are_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    copies = SourceCopies(tmp_path, LIMIT)
    path = copies.path(copies.add([b"rows"], 4).digest, "file.csv")
    assert path is not None
    assert path.read_bytes() == b"rows"


@pytest.mark.parametrize("size", [3, 5])
def test_what_is_cut_off_leaves_nothing(tmp_path: Path, size: int) -> None:
    copies = SourceCopies(tmp_path, LIMIT)
    with pytest.raises(SourceError, match=f"4 of {size} bytes came"):
        copies.add([b"rows"], size)

    def failing() -> Iterator[bytes]:
        yield b"ro"
        raise SourceError("away")

    with pytest.raises(SourceError, match="away"):
        copies.add(failing(), 4)
    assert files_in(tmp_path) == []


def test_a_full_disk_is_told_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match=r"no space left for .*`artifacts_cache` limits them"):
        SourceCopies(tmp_path, LIMIT).add([b"rows"], 4)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("payload", [b"rots", b"row", b"", None])
def test_a_damaged_copy_is_none(tmp_path: Path, payload: bytes | None) -> None:
    copies = SourceCopies(tmp_path, LIMIT)
    digest = copies.add([b"rows"], 4).digest
    path = copies.path(digest, "file.csv")
    assert path is not None
    content = path.with_name("content")
    content.unlink()
    if payload is not None:
        content.write_bytes(payload)
    for each in (copies, SourceCopies(tmp_path, LIMIT)):
        assert each.path(digest, "file.csv") is None
    copies.add([b"rows"], 4)
    path = copies.path(digest, "file.csv")
    assert path is not None
    assert path.read_bytes() == b"rows"


def test_several_at_a_time(tmp_path: Path) -> None:
    """Also of the same content."""

    def work(number: int) -> bytes:
        copies, payload = SourceCopies(tmp_path, LIMIT), bytes([number % 5]) * 1000
        path = copies.path(copies.add([payload], 1000).digest, f"file.{number % 3}")
        assert path is not None
        return path.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(100)))
    assert found == [bytes([number % 5]) * 1000 for number in range(100)]
    assert len([name for name in files_in(tmp_path) if name.endswith("/content")]) == 5


def test_what_a_writer_left_goes_when_room_is_short(tmp_path: Path) -> None:
    now = 1e9
    copies = SourceCopies(tmp_path, 100, clock=lambda: now)
    (tmp_path / "drafts").mkdir(mode=0o700)
    left = tmp_path / "drafts" / "left"
    left.write_bytes(bytes(200))
    os.utime(left, (now - 1000, now - 1000))
    copies.add([bytes(50)], 50)
    assert not left.exists()
    assert copies.has(sha(bytes(50)))
