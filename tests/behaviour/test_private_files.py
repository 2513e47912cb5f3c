"""What a project stores can be read by its owner only, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.tides import Tides
from tidemill.core.errors import StorageError


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_home_is_private(tmp_path: Path, umask: int) -> None:
    tides = Tides(tmp_path / "project")
    tides.edit("return value * 2", "print('hello')\n    return value * 2")
    tides.send(0)
    tides.ok()
    home = tides.root / ".tidemill"
    assert mode(home) == 0o700
    files = [path for path in home.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".db", ".parquet", ".json", ".jsonl"}
    assert {path: oct(mode(path)) for path in files if mode(path) != 0o600} == {}
    folders = [path for path in home.rglob("*") if path.is_dir()]
    assert {path: oct(mode(path)) for path in folders if mode(path) != 0o700} == {}


def test_a_stricter_umask_counts(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    home = tides.root / ".tidemill"
    before = os.umask(0o177)
    try:
        # An ordinary user can't enter the folder.
        with suppress(StorageError):
            tides.open().runs()
    finally:
        os.umask(before)
    assert mode(home) == 0o600
    home.chmod(0o700)


def test_memos_in_a_shared_folder_are_as_open_as_the_folder(tmp_path: Path) -> None:
    from tidemill.adapters.files.memos import FileMemos

    shared = tmp_path / "shared"
    shared.mkdir()
    os.chmod(shared, 0o770)
    before = os.umask(0o007)
    try:
        memos = FileMemos(shared)
        memos.append("space", b"payload")
    finally:
        os.umask(before)
    found = [path for path in shared.rglob("*") if path.is_file()]
    assert found
    assert {mode(path) for path in found} == {0o660}
