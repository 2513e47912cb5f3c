"""Parquet files in a folder: each whole or not at all, however often it is delivered."""

from __future__ import annotations

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tidemill.adapters.sinks import parquet
from tidemill.core.errors import StorageError
from tidemill.core.partition_file import partition_stem
from tidemill.ledger.delivery import Effect
from tidemill.testing.doubles import MemoryArtifacts


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    return MemoryArtifacts()


def write(artifacts: MemoryArtifacts, payload: bytes, partition: str = "2013-03-07") -> Effect:
    """An effect that writes some bytes."""
    name = artifacts.put(payload, ".parquet")
    return Effect(
        key="k", stage="scored", partition=partition, action="write", target="out/a", object=name
    )


def test_a_file_is_written_replaced_and_removed(tmp_path: Path, artifacts: MemoryArtifacts) -> None:
    first, second = write(artifacts, b"one"), write(artifacts, b"two")
    target = tmp_path / "out" / "a" / "2013-03-07.parquet"
    assert parquet.deliver(first, tmp_path, artifacts) == {"file": "out/a/2013-03-07.parquet"}
    assert target.read_bytes() == b"one"
    for _ in range(2):
        parquet.deliver(second, tmp_path, artifacts)
        assert target.read_bytes() == b"two"
    assert os.listdir(target.parent) == [target.name]
    remove = replace(second, action="remove", object="")
    for _ in range(2):
        assert parquet.deliver(remove, tmp_path, artifacts)["file"] == "out/a/2013-03-07.parquet"
        assert not target.exists()


@pytest.mark.parametrize(
    ("partition", "name"),
    [
        ("all", "all.parquet"),
        ("2013-03-07T05", "2013-03-07T05.parquet"),
        # Values are text of users: none may leave the folder.
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.parquet"),
        ("a b/ü", "a%20b%2F%C3%BC.parquet"),
        ("(none)", "%28none%29.parquet"),
        ("..", "%2E..parquet"),
        ("_a", "%5Fa.parquet"),
        ("a\nb\0", "a%0Ab%00.parquet"),
        ("x" * 200, "x" * 200 + ".parquet"),
        # Longer names end in a hash of the whole partition.
        ("x" * 201, "x" * 167 + "+" + sha256(b"x" * 201).hexdigest()[:32] + ".parquet"),
    ],
)
def test_a_partition_names_its_file(
    tmp_path: Path, artifacts: MemoryArtifacts, partition: str, name: str
) -> None:
    parquet.deliver(write(artifacts, b"x", partition), tmp_path, artifacts)
    assert os.listdir(tmp_path / "out" / "a") == [name]


def test_partitions_that_differ_in_case_are_delivered_as_the_folder_allows(
    tmp_path: Path, artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out" / "a"
    upper, lower = write(artifacts, b"upper", "DE"), write(artifacts, b"lower", "de")
    for effect in (upper, lower):
        parquet.deliver(effect, tmp_path, artifacts)
    assert sorted(os.listdir(folder)) == ["DE.parquet", "de.parquet"]
    # The project is moved to a disk that ignores case.
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "_ignores_case", lambda folder: True)
        told = parquet.deliver(upper, tmp_path, artifacts)
        hashed = f"{partition_stem('DE', ignores_case=True)}.parquet"
        assert told == {"file": f"out/a/{hashed}"}
        assert sorted(os.listdir(folder)) == [hashed, "de.parquet"]
        # There this is the file of the other partition.
        patched.setattr(os.path, "lexists", lambda path: True)
        parquet.deliver(upper, tmp_path, artifacts)
        assert (folder / "de.parquet").read_bytes() == b"lower"
    # And back; each time there is one file of each.
    parquet.deliver(upper, tmp_path, artifacts)
    assert sorted(os.listdir(folder)) == ["DE.parquet", "de.parquet"]
    with monkeypatch.context() as patched:
        patched.setattr(parquet, "_ignores_case", lambda folder: True)
        parquet.deliver(upper, tmp_path, artifacts)
        for _ in range(2):
            remove = replace(upper, action="remove", object="")
            assert parquet.deliver(remove, tmp_path, artifacts) == {"file": f"out/a/{hashed}"}
    assert os.listdir(folder) == ["de.parquet"]


@pytest.mark.parametrize("ignored", [True, False])
def test_whether_a_folder_ignores_case_is_tried_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ignored: bool
) -> None:
    exists = Path.exists

    def in_any_case(path: Path) -> bool:
        names = [name.lower() for name in os.listdir(path.parent)]
        return path.name.lower() in names if ignored else exists(path)

    monkeypatch.setattr(Path, "exists", in_any_case)
    assert parquet._ignores_case(tmp_path) == ignored
    assert os.listdir(tmp_path) == []


def test_the_removal_of_what_was_never_delivered_makes_no_folder(
    tmp_path: Path, artifacts: MemoryArtifacts
) -> None:
    remove = replace(write(artifacts, b"x", "DE"), action="remove", object="")
    assert parquet.deliver(remove, tmp_path, artifacts) == {"file": "out/a/DE.parquet"}
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("partition", ["x" * 10_000, "ü" * 3_000, "/" * 100])
def test_a_long_value_is_delivered_and_withdrawn(
    tmp_path: Path, artifacts: MemoryArtifacts, partition: str
) -> None:
    effect = write(artifacts, b"x", partition)
    parquet.deliver(effect, tmp_path, artifacts)
    assert [path.read_bytes() for path in (tmp_path / "out" / "a").iterdir()] == [b"x"]
    parquet.deliver(replace(effect, action="remove", object=""), tmp_path, artifacts)
    assert not list((tmp_path / "out" / "a").iterdir())


def test_what_stands_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loose").symlink_to("nowhere")
    assert parquet.find_obstacle("folder", tmp_path) == ""
    assert parquet.find_obstacle("folder/new/newer", tmp_path) == ""
    assert parquet.find_obstacle("file", tmp_path) == f"{tmp_path}/file is not a folder"
    assert parquet.find_obstacle("file/sub", tmp_path) == f"{tmp_path}/file is not a folder"
    assert parquet.find_obstacle("loose", tmp_path) == f"{tmp_path}/loose is not a folder"
    assert parquet.find_obstacle("a\0b", tmp_path) == "its name has a NUL character"
    assert parquet.find_obstacle("x" * 300, tmp_path) == "File name too long"
    # Each name is short enough, but not all of them together.
    assert parquet.find_obstacle("/".join(["x" * 200] * 20), tmp_path) == "File name too long"


def test_a_folder_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A superuser may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert parquet.find_obstacle("out", tmp_path) == f"{tmp_path} is not writable"


def test_a_folder_outside_the_root_is_named_in_full(
    tmp_path: Path, artifacts: MemoryArtifacts
) -> None:
    effect = replace(write(artifacts, b"x"), target=str(tmp_path / "elsewhere"))
    told = parquet.deliver(effect, tmp_path / "project", artifacts)
    assert told == {"file": str(tmp_path / "elsewhere" / "2013-03-07.parquet")}
    assert Path(told["file"]).read_bytes() == b"x"


@pytest.mark.parametrize("action", ["write", "remove"])
def test_an_error_says_what_follows(
    tmp_path: Path, artifacts: MemoryArtifacts, action: str
) -> None:
    target = tmp_path / "out" / "a" / "2013-03-07.parquet"
    target.mkdir(parents=True)
    effect = replace(write(artifacts, b"x"), action=action)
    with pytest.raises(
        StorageError, match=r"scored 2013-03-07 can't be delivered to .*07\.parquet"
    ):
        parquet.deliver(effect, tmp_path, artifacts)
    assert os.listdir(target.parent) == [target.name]


def test_a_file_in_the_way_of_the_folder(tmp_path: Path, artifacts: MemoryArtifacts) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StorageError, match="it stays queued, and the next run will deliver it"):
        parquet.deliver(write(artifacts, b"x"), tmp_path, artifacts)


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "a" / "2013-03-07.parquet"
    parquet.deliver(write(artifacts, b"old"), tmp_path, artifacts)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        parquet.deliver(write(artifacts, b"new"), tmp_path, artifacts)
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]


def test_an_object_that_is_gone_changes_nothing(tmp_path: Path, artifacts: MemoryArtifacts) -> None:
    effect = write(artifacts, b"x")
    artifacts.remove([effect.object])
    with pytest.raises(StorageError, match="is missing"):
        parquet.deliver(effect, tmp_path, artifacts)
    assert not list((tmp_path / "out").rglob("*.parquet"))
