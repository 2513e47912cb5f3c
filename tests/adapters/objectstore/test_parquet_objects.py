"""Parquet files in an object store: each whole or not at all, however often it is delivered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import MemoryStore

from tests.support.buckets import BUCKET_URL, memory_stores
from tidemill.adapters.objectstore import parquet_objects
from tidemill.adapters.objectstore.opened import open_stores
from tidemill.adapters.objectstore.parquet_objects import ParquetObjects
from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Effect
from tidemill.ports.formats import EffectResult
from tidemill.testing.doubles import MemoryArtifacts

TARGET, ROOT = f"{BUCKET_URL}/out/a", Path()


@pytest.fixture
def store() -> Iterator[Any]:
    with memory_stores():
        yield open_stores(BUCKET_URL).store


@pytest.fixture
def artifacts() -> MemoryArtifacts:
    return MemoryArtifacts()


def write(artifacts: MemoryArtifacts, payload: bytes, partition: str = "2013-03-07") -> Effect:
    """An effect that writes some bytes."""
    name = artifacts.put(payload, ".parquet")
    return Effect(
        key="k", stage="scored", partition=partition, action="write", target=TARGET, object=name
    )


def deliver(artifacts: MemoryArtifacts, *effects: Effect) -> list[EffectResult]:
    return [result for _, result in ParquetObjects().deliver_all(effects, ROOT, artifacts)]


def stored(store: Any) -> dict[str, bytes]:
    keys = [known["path"] for part in obstore.list(store) for known in part]
    return {key: obstore.get(store, key).bytes().to_bytes() for key in sorted(keys)}


def test_an_object_is_written_replaced_and_removed(store: Any, artifacts: MemoryArtifacts) -> None:
    first, second = write(artifacts, b"one"), write(artifacts, b"two")
    done = {"file": f"{TARGET}/2013-03-07.parquet"}
    assert deliver(artifacts, first) == [done]
    for _ in range(2):
        assert deliver(artifacts, second) == [done]
        assert stored(store) == {"out/a/2013-03-07.parquet": b"two"}
    remove = replace(second, action="remove", object="")
    for _ in range(2):
        assert deliver(artifacts, remove) == [done]
        assert stored(store) == {}


def test_partitions_are_other_objects(store: Any, artifacts: MemoryArtifacts) -> None:
    partitions = ["DE", "de", "../x", "a b/ü", "a%20b", "2013-03-07T05", "(none)", "x" * 300]
    effects = [write(artifacts, each.encode(), each) for each in partitions]
    results = deliver(artifacts, *effects)
    assert sorted(stored(store).values()) == sorted(each.encode() for each in partitions)
    for effect, result in zip(effects, results, strict=True):
        assert isinstance(result, dict)
        assert ParquetObjects().find_fault(effect, result, ROOT, artifacts) == ""


def test_what_became_of_a_delivery_is_found(store: Any, artifacts: MemoryArtifacts) -> None:
    effect = write(artifacts, b"rows")
    [detail] = deliver(artifacts, effect)
    assert isinstance(detail, dict)
    place = f"{TARGET}/2013-03-07.parquet"
    gone = replace(effect, action="remove", object="")

    def fault(effect: Effect) -> str | None:
        return ParquetObjects().find_fault(effect, detail, ROOT, artifacts)

    assert fault(effect) == ""
    assert fault(gone) == f"the file {place} is there again, although its delivery was removed"
    obstore.put(store, "out/a/2013-03-07.parquet", b"rots")
    assert fault(effect) == f"the delivered file {place} was changed"
    obstore.delete(store, "out/a/2013-03-07.parquet")
    assert fault(effect) == f"the delivered file {place} was deleted"
    assert fault(gone) == ""


class Replies:
    """The functions of obstore, of which some answer otherwise."""

    def __init__(self, **other: Callable[..., Any]) -> None:
        vars(self).update(other)

    def __getattr__(self, name: str) -> Any:
        return getattr(obstore, name)


@pytest.mark.parametrize("kept", [b"row", b"rots"])
def test_a_store_that_keeps_something_else_is_noticed(
    store: Any, artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch, kept: bytes
) -> None:
    def put(store: MemoryStore, key: str, payload: bytes, **_: Any) -> Any:
        return obstore.put(store, key, kept)

    monkeypatch.setattr(parquet_objects, "obstore", Replies(put=put))
    [result] = deliver(artifacts, write(artifacts, b"rows"))
    assert isinstance(result, StorageError)
    assert str(result) == (
        f"scored 2013-03-07 can't be delivered to {TARGET}/2013-03-07.parquet: the store has something else "
        "than what was sent; it stays queued, and the next run will deliver it"
    )


@pytest.mark.parametrize(
    ("tag", "is_read"),
    [
        (md5(b"rows and rows").hexdigest(), False),
        # Some stores state this of parts that they put together wrongly.
        (f"{md5(b'rows and rows').hexdigest()}-3", True),
        # An encrypted object has another tag.
        (md5(b"secret").hexdigest(), True),
        (None, True),
    ],
)
def test_an_object_whose_tag_tells_its_content_is_not_read(
    store: Any,
    artifacts: MemoryArtifacts,
    monkeypatch: pytest.MonkeyPatch,
    tag: str | None,
    is_read: bool,
) -> None:
    read: list[str] = []

    def head(store: MemoryStore, key: str) -> dict[str, Any]:
        return {**obstore.head(store, key), "e_tag": tag and f'"{tag}"'}

    def get(store: MemoryStore, key: str) -> Any:
        read.append(key)
        return obstore.get(store, key)

    monkeypatch.setattr(parquet_objects, "obstore", Replies(head=head, get=get))
    [result] = deliver(artifacts, write(artifacts, b"rows and rows"))
    assert isinstance(result, dict)
    assert bool(read) is is_read


@pytest.mark.usefixtures("s3")
def test_a_large_file_is_whole_whatever_a_store_makes_of_parts(
    artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server puts them together wrongly."""
    monkeypatch.setattr(parquet_objects, "_LARGE", 5 << 20)
    monkeypatch.setattr(parquet_objects, "_PART", 5 << 20)
    payload = os.urandom(12 << 20)
    [result] = deliver(artifacts, write(artifacts, payload))
    assert isinstance(result, dict)
    store = open_stores(BUCKET_URL).store
    assert obstore.get(store, "out/a/2013-03-07.parquet").bytes().to_bytes() == payload


def test_a_failure_is_that_of_one_object(
    store: Any, artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(store: MemoryStore, key: str, payload: bytes, **options: Any) -> Any:
        if payload == b"two":
            raise PermissionDeniedError(
                "Error performing PUT http://h/b?sig=secret in 3s - 403 Forbidden\n\nDebug"
            )
        return obstore.put(store, key, payload)

    effects = [write(artifacts, each, each.decode()) for each in (b"one", b"two", b"three")]
    absent = replace(effects[0], object=f"{sha256(b'gone').hexdigest()}.parquet")
    monkeypatch.setattr(parquet_objects, "obstore", Replies(put=put))
    one, two, three, gone = deliver(artifacts, *effects, absent)
    assert isinstance(one, dict)
    assert str(two) == (
        f"scored two can't be delivered to {TARGET}/two.parquet: access is denied; check what the "
        "credentials in the environment allow; it stays queued, and the next run will deliver it"
    )
    assert isinstance(three, dict)
    assert isinstance(gone, StorageError)
    assert set(stored(store)) == {f"out/a/{each}.parquet" for each in ("one", "three")}


def test_a_store_that_does_not_answer_is_not_asked_for_each_object(
    store: Any, artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    now = 0.0

    def put(store: MemoryStore, key: str, payload: bytes, **options: Any) -> Any:
        asked.append(key)
        raise GenericError("Error performing PUT http://h/b?sig=secret in 3s - timed out\n\nDebug")

    monkeypatch.setattr(parquet_objects, "obstore", Replies(put=put))
    monkeypatch.setattr(parquet_objects, "_AT_ONCE", 1)
    sink = ParquetObjects(clock=lambda: now)
    effects = [write(artifacts, b"rows", f"{number}") for number in range(9)]
    results = [result for _, result in sink.deliver_all(effects, ROOT, artifacts)]
    assert [str(result) for result in results] == [
        f"scored {number} can't be delivered to {TARGET}/{number}.parquet: timed out; check its address, the "
        "network, and the credentials in the environment; it stays queued, and the next run will deliver it"
        for number in range(9)
    ]
    assert asked == ["out/a/0.parquet"]
    with pytest.raises(
        StorageError, match=r"^the delivered file \S+ can't be read: timed out; [^;]*$"
    ):
        sink.find_fault(effects[0], {"file": f"{TARGET}/0.parquet"}, ROOT, artifacts)
    now = 31.0
    assert len(list(sink.deliver_all(effects[:1], ROOT, artifacts))) == 1
    assert len(asked) == 2


def test_what_lacks_in_the_environment_is_an_obstacle(
    artifacts: MemoryArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    found = ParquetObjects().find_obstacle(write(artifacts, b"rows"), ROOT)
    assert found.startswith("'s3://bucket' can't be opened: ")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert ParquetObjects().find_obstacle(write(artifacts, b"rows"), ROOT) == ""
