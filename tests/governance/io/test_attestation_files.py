"""Attestations as files, and the digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tidemill.core.errors import StorageError, UsageError
from tidemill.governance.io import attestation_files
from tidemill.governance.io.attestation_files import (
    AttestationFolder,
    file_digests,
    object_digest,
    read_file,
    write_file,
)
from tidemill.testing.doubles import MemoryArtifacts


def test_attestations_are_found_by_name_newest_first(tmp_path: Path) -> None:
    folder = AttestationFolder(tmp_path / "prod")
    assert folder.all_of("out") == []
    for name, version in (("out", "20260101-1"), ("out", "20260102-2"), ("out_2", "20260103-3")):
        path = folder.write(name, version, f"{name} {version}")
        assert path.stat().st_mode & 0o077 == 0
    assert [read_file(path) for path in folder.all_of("out")] == [
        b"out 20260102-2",
        b"out 20260101-1",
    ]
    assert [path.name for path in folder.all_of("out_2")] == ["out_2-20260103-3.dsse.json"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(StorageError, match="can't be written"):
        write_file(target, "text")
    assert [*tmp_path.iterdir()] == [target]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't be written"):
        write_file(tmp_path / "file" / "below", "text")


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        read_file(tmp_path / "none")
    with pytest.raises(UsageError, match="can't be read: No such file"):
        file_digests(tmp_path / "none")
    monkeypatch.setattr(attestation_files, "_LARGEST", 3)
    (tmp_path / "file").write_bytes(b"1234")
    with pytest.raises(UsageError, match="too large to be an attestation"):
        read_file(tmp_path / "file")


def test_digests_are_those_of_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    files = {tmp_path / "a" / "x": b"1", tmp_path / "a" / "b" / "y": b"22"}
    for path, content in files.items():
        path.write_bytes(content)
    assert file_digests(tmp_path / "a") == {
        path.relative_to(tmp_path / "a").as_posix(): hashlib.sha256(content).hexdigest()
        for path, content in files.items()
    }
    assert [*file_digests(tmp_path / "a" / "x")] == ["x"]
    monkeypatch.setattr(attestation_files, "_CHUNK", 3)
    artifacts = MemoryArtifacts()
    name = artifacts.put(b"12345678", ".parquet")
    assert object_digest(artifacts, name) == hashlib.sha256(b"12345678").hexdigest()
    with pytest.raises(StorageError):
        object_digest(artifacts, f"{'0' * 64}.parquet")
