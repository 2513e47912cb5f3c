"""State that is kept in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tidemill.costs.io.kept_state import read_kept, write_kept


@dataclass(slots=True, kw_only=True)
class Sums:
    seq: int
    days: dict[str, list[int]]


SUMS = Sums(seq=7, days={"2026-03-01": [1, 2]})


def test_what_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "home" / "sums.bin"
    assert read_kept(file, 1, Sums) is None
    write_kept(file, 1, SUMS)
    assert read_kept(file, 1, Sums) == SUMS
    assert [*file.parent.iterdir()] == [file]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 99])
def test_a_damaged_file(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "sums.bin"
    file.write_bytes(damage)
    assert read_kept(file, 1, Sums) is None


def test_another_version(tmp_path: Path) -> None:
    file = tmp_path / "sums.bin"
    write_kept(file, 1, SUMS)
    assert read_kept(file, 2, Sums) is None


def test_no_file_and_no_folder(tmp_path: Path) -> None:
    write_kept(None, 1, SUMS)
    assert read_kept(None, 1, Sums) is None
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    write_kept(blocked / "sums.bin", 1, SUMS)
    assert read_kept(blocked / "sums.bin", 1, Sums) is None
