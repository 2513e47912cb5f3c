"""A project's files are packed by content, and unpacked once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.clusters import shipment
from tidemill.adapters.clusters.shipment import Archive, pack_files, project_files, unpack
from tidemill.core.errors import StorageError, UsageError

NAMES = st.text("abcxyz. é", min_size=1, max_size=8).filter(lambda name: name.strip(". ") == name)


def packed(root: Path) -> Archive:
    return pack_files(project_files(root))


@given(files=st.dictionaries(st.tuples(NAMES, NAMES), st.binary(max_size=50), max_size=5))
def test_files_arrive_as_they_were(
    files: dict[tuple[str, str], bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, below = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("below")
    for (folder, name), data in files.items():
        (root / f"d{folder}").mkdir(exist_ok=True)
        (root / f"d{folder}" / name).write_bytes(data)
    archive = packed(root)
    unpacked = Path(unpack(archive.digest, archive.data, below))
    found = {p.relative_to(unpacked): p.read_bytes() for p in unpacked.rglob("*") if p.is_file()}
    assert found == {Path(f"d{folder}") / name: data for (folder, name), data in files.items()}
    # Who unpacks the same again needs no data.
    assert unpack(archive.digest, None, below) == str(unpacked)


def test_the_digest_is_that_of_content(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = packed(tmp_path)
    os.utime(tmp_path / "a.py", (1, 1))
    assert packed(tmp_path) == before
    (tmp_path / "a.py").write_text("2")
    assert packed(tmp_path).digest != before.digest


def test_what_isnt_code_stays_here(tmp_path: Path) -> None:
    for name in (
        ".git/x",
        "__pycache__/x",
        "venv/pyvenv.cfg",
        "venv/x",
        "home/x",
        "pkg/x.py",
        "x.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = project_files(tmp_path, lambda path: path.name == "home")
    assert [name for name, _ in found] == ["pkg/x.py", "x.csv"]


def test_too_much_is_refused_with_the_largest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipment, "MAX_BYTES", 2_000_000)
    (tmp_path / "a.py").touch()
    (tmp_path / "big.csv").write_bytes(bytes(3_000_000))
    with pytest.raises(
        UsageError, match=r"are 3 MB, more than the 2 MB .* the largest is big\.csv"
    ):
        project_files(tmp_path)


def test_damage_on_the_way_is_noticed(tmp_path: Path) -> None:
    archive = pack_files(iter([]))
    with pytest.raises(StorageError, match="was damaged on its way"):
        unpack(archive.digest, archive.data + b"x", tmp_path)
    assert [*tmp_path.iterdir()] == []
    assert unpack(archive.digest, None, tmp_path) == ""


def test_archives_that_werent_used_for_long_are_removed(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}").mkdir()
        os.utime(tmp_path / f"{number:02}", (number, number))
    archive = pack_files(iter([]))
    unpack(archive.digest, archive.data, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        archive.digest,
        *(f"{number:02}" for number in range(13, 20)),
    }


def test_the_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    (tmp_path / "there").mkdir()
    (tmp_path / f"tidemill-node-{os.getuid()}").symlink_to(tmp_path / "there")
    with pytest.raises(StorageError, match="belongs to another user"):
        unpack("0" * 64, None)
