"""Objects in object stores: in memory, in a folder, and in an S3 server on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from tidemill.adapters.objectstore import artifacts as store_artifacts
from tidemill.adapters.objectstore.artifacts import StoreArtifacts
from tidemill.adapters.objectstore.object_cache import ObjectCache
from tidemill.adapters.objectstore.opened import open_artifacts
from tidemill.core.errors import DamagedObjectError, StorageError
from tidemill.testing import records as samples
from tidemill.testing.suites.artifacts_and_claims import ArtifactsSuite, put
from tools import object_store

LIMIT = 1 << 30


def ours() -> str:
    return "ours"


def in_memory(folder: Path) -> StoreArtifacts:
    return StoreArtifacts(MemoryStore(), "memory://", ObjectCache(folder / "cache", LIMIT), ours)


class TestMemoryStore(ArtifactsSuite):
    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> StoreArtifacts:
        return in_memory(tmp_path)

    def test_a_large_object_is_sent_in_parts(
        self, artifacts: StoreArtifacts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The S3 server of these tests puts parts together wrongly."""
        monkeypatch.setattr(store_artifacts, "_LARGE", 1 << 20)
        monkeypatch.setattr(store_artifacts, "_PART", 1 << 20)
        payload = os.urandom((5 << 20) + 1)
        assert artifacts.get(put(artifacts, payload, ".bin")) == payload


@pytest.mark.usefixtures("s3")
class TestS3(ArtifactsSuite):
    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> StoreArtifacts:
        url = f"s3://{object_store.BUCKET}/{tmp_path.name}"
        return open_artifacts(url, tmp_path / "cache", LIMIT, ours)

    def test_a_bucket_that_is_not_there(self, tmp_path: Path) -> None:
        artifacts = open_artifacts("s3://nothing/x", tmp_path / "cache", LIMIT, ours)
        with pytest.raises(
            StorageError, match=r"s3://nothing/x can't be used.*there is no such bucket"
        ):
            put(artifacts, b"one", ".txt")
        with pytest.raises(StorageError, match="there is no such bucket"):
            artifacts.find_missing([samples.object_name("a")])

    def test_it_can_be_tried(self, artifacts: StoreArtifacts) -> None:
        artifacts.probe()
        assert list(artifacts.names()) == []

    def test_a_buffer_is_stored(self, artifacts: StoreArtifacts) -> None:
        payload = os.urandom(12 << 20)
        name = artifacts.put_all([(memoryview(payload), ".bin")])[0]
        assert artifacts.sizes([name]) == {name: len(payload)}
        assert artifacts.get(name) == payload


class TestUpkeep:
    """What sweeps, repairs and several machines do."""

    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> StoreArtifacts:
        return in_memory(tmp_path)

    def test_damage_is_remembered_and_mended(self, artifacts: StoreArtifacts) -> None:
        name = put(artifacts, b"one", ".txt")
        path = f"objects/{name[:2]}/{name}"
        obstore.put(artifacts._store, path, b"two")
        # A sound copy takes its place.
        assert artifacts.get(name) == b"one"
        assert obstore.get(artifacts._store, path).bytes() == b"one"
        assert list(artifacts.names(damaged=True)) == []
        obstore.put(artifacts._store, path, b"two")
        artifacts.cache.forget([name])
        with pytest.raises(DamagedObjectError, match="its content doesn't match its name"):
            artifacts.get(name)
        assert artifacts.find_missing([name]) == {name: "damaged"}
        assert list(artifacts.names(damaged=True)) == [name]
        assert not Path(artifacts.cache.path(name)).exists()
        assert put(artifacts, b"one", ".txt") == name
        assert artifacts.find_missing([name]) == {}
        assert artifacts.get(name) == b"one"

    def test_a_missing_object_is_remembered(self, artifacts: StoreArtifacts) -> None:
        gone = samples.object_name("gone")
        with pytest.raises(StorageError, match="is missing"):
            artifacts.get(gone)
        assert list(artifacts.names(damaged=True)) == [gone]

    def test_what_is_stored_is_compared_with_what_is_there(self, artifacts: StoreArtifacts) -> None:
        name = put(artifacts, b"one", ".txt")
        known = artifacts._head(f"objects/{name[:2]}/{name}")
        assert known is not None
        assert artifacts._renew(name, b"one")
        assert not artifacts._renew(name, b"four")

    def test_a_store_that_is_away_is_not_asked_for_each_object(
        self, artifacts: StoreArtifacts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = [put(artifacts, bytes([number]), ".bin") for number in range(100)]
        asked: list[str] = []

        def head(path: str) -> None:
            asked.append(path)
            raise StorageError("away")

        monkeypatch.setattr(artifacts, "_head", head)
        found = artifacts.discard(names, before=4e9)
        assert found.failed == dict.fromkeys(names, "away")
        # Those that were under way at the same time.
        assert len(asked) <= 20

    def test_only_old_objects_are_discarded(self, artifacts: StoreArtifacts) -> None:
        names = [put(artifacts, payload, ".txt") for payload in (b"one", b"four")]
        gone = samples.object_name("gone")
        [first, _] = sorted(artifacts.stored(), key=lambda each: each.bytes)
        assert (first.name, first.bytes) == (names[0], 3)
        found = artifacts.discard([*names, gone], before=first.written)
        assert (found.recent, found.sizes) == (tuple(names), {gone: 0})
        later = artifacts.discard(names, before=first.written + 3_600)
        assert (later.recent, later.sizes) == ((), {names[0]: 3, names[1]: 4})
        assert list(artifacts.names()) == []
        assert not Path(artifacts.cache.path(names[0])).exists()

    def test_what_is_stored_again_is_needed(self, artifacts: StoreArtifacts) -> None:
        name = put(artifacts, b"one", ".txt")
        [before] = artifacts.stored()
        put(artifacts, b"one", ".txt")
        [after] = artifacts.stored()
        assert after.written > before.written
        assert artifacts.discard([name], before=after.written).recent == (name,)
        assert artifacts.remove_leftovers(after.written + 1) == 0
        [left] = artifacts.stored()
        assert left.written == before.written

    def test_others_in_the_same_place_are_skipped(self, artifacts: StoreArtifacts) -> None:
        name = put(artifacts, b"one", ".txt")
        for path in ("objects/readme", f"objects/zz/{name}", f"elsewhere/{name}"):
            obstore.put(artifacts._store, path, b"x")
        assert list(artifacts.names()) == [name]

    def test_another_machine_reads_what_one_stored(
        self, artifacts: StoreArtifacts, tmp_path: Path
    ) -> None:
        name = put(artifacts, b"one", ".txt")
        other = StoreArtifacts(
            artifacts._store, "memory://", ObjectCache(tmp_path / "other", LIMIT), ours
        )
        other.fetch([name])
        copy = Path(other.uri(name))
        assert copy.is_relative_to(tmp_path / "other")
        assert copy.read_bytes() == b"one"
        # Whatever a copy holds, the object in the store is what counts.
        copy.write_bytes(b"two")
        assert other.get(name) == b"one"
        assert copy.read_bytes() == b"one"

    def test_a_store_belongs_to_one_home(self, artifacts: StoreArtifacts, tmp_path: Path) -> None:
        """A sweep of another one would find that nothing needs its objects."""
        cache = ObjectCache(tmp_path / "other", LIMIT)
        theirs = StoreArtifacts(artifacts._store, "memory://", cache, lambda: "theirs")
        # Nothing is deleted where no home is noted, as in objects that were copied there.
        with pytest.raises(StorageError, match="run the workflow first"):
            theirs.discard([], before=4e9)
        name = put(artifacts, b"one", ".txt")
        for use in (
            lambda: put(theirs, b"two", ".txt"),
            lambda: theirs.remove([name]),
            lambda: theirs.discard([name], before=4e9),
            lambda: theirs.remove_leftovers(4e9),
            theirs.probe,
        ):
            with pytest.raises(StorageError, match=r"belong to another home \(ours\)"):
                use()
        assert theirs.get(name) == b"one"
        # Two at the same moment: whoever deletes looks again.
        obstore.put(artifacts._store, "homes/theirs", b"")
        with pytest.raises(StorageError, match=r"belong to another home \(theirs\)"):
            artifacts.discard([name], before=4e9)
        assert artifacts.get(name) == b"one"

    def test_a_full_disk_doesnt_keep_from_reading_whole_objects(
        self, artifacts: StoreArtifacts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise StorageError("no space left")

        monkeypatch.setattr(artifacts.cache._files, "put_all", full)
        name = put(artifacts, b"one", ".txt")
        assert artifacts.get(name) == b"one"
        with pytest.raises(StorageError, match=r"no space left \(copies of an object store lie in"):
            artifacts.uri(name)
        assert artifacts.find_missing([name]) == {}

    def test_copies_of_what_is_gone_are_deleted(self, artifacts: StoreArtifacts) -> None:
        name, kept = (put(artifacts, payload, ".txt") for payload in (b"one", b"two"))
        obstore.delete(artifacts._store, f"objects/{name[:2]}/{name}")
        assert Path(artifacts.uri(name)).exists()
        artifacts.remove_leftovers(0.0)
        assert not Path(artifacts.uri(name)).exists()
        assert Path(artifacts.uri(kept)).exists()
