"""Tables that are delivered to an object store: an S3 server here, or a store in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from obstore.exceptions import GenericError

from tests.support.buckets import BUCKET_URL, memory_stores
from tests.support.tides import CHAIN, Tides, day, flow_of
from tidemill.adapters.objectstore import opened, parquet_objects
from tidemill.core.errors import DeclarationError
from tidemill.project.project import open_project
from tidemill.workflow.sink import parquet

DAYS = 4


@pytest.fixture
def memory() -> Iterator[None]:
    with memory_stores():
        yield


class Delivered(Tides):
    """The project, of which days are delivered to a bucket."""

    def __init__(self, root: Path) -> None:
        self.place = f"{BUCKET_URL}/{root.name}/out"
        sink = f'\nflow.table("out", stage=doubled, sink=tm.parquet("{self.place}/"))\n'
        super().__init__(root, CHAIN + sink)
        self.store = opened.open_stores(BUCKET_URL).store
        for number in range(DAYS):
            self.send(number)

    def objects(self, place: str = "") -> dict[str, list[float | None]]:
        """What a reader of the bucket finds, by day."""
        prefix = (place or self.place).removeprefix(f"{BUCKET_URL}/")
        keys = [known["path"] for part in obstore.list(self.store, prefix=prefix) for known in part]
        return {
            key.removeprefix(f"{prefix}/").removesuffix(".parquet"): self.object(key)
            for key in sorted(keys)
        }

    def object(self, key: str) -> list[float | None]:
        payload = BytesIO(obstore.get(self.store, key).bytes().to_bytes())
        return pl.read_parquet(payload)["double"].to_list()

    def key(self, number: int) -> str:
        return f"{self.root.name}/out/{day(number)}.parquet"


@pytest.fixture(params=["memory", "s3"])
def tides(request: pytest.FixtureRequest, tmp_path: Path) -> Delivered:
    request.getfixturevalue(request.param)
    return Delivered(tmp_path)


def wanted(tides: Delivered) -> dict[str, list[float | None]]:
    return {
        partition: tides.read("doubled", partition)["double"].to_list()
        for partition in tides.published()["doubled"]
    }


def test_objects_follow_what_is_published(tides: Delivered) -> None:
    assert tides.ok()["ok deliver out"] == [day(n) for n in range(DAYS)]
    assert tides.objects() == wanted(tides)
    assert tides.ok() == {}
    tides.remove_missing()
    tides.send(1, (7.0,))
    tides.withdraw(2)
    done = tides.ok()
    assert (done["ok deliver out"], done["ok remove out"]) == ([day(1)], [day(2)])
    assert tides.objects() == wanted(tides)
    assert len(tides.objects()) == DAYS - 1
    assert tides.open().stored_state.verify().is_sound


def test_verify_finds_and_repairs_what_somebody_changed(tides: Delivered) -> None:
    tides.ok()
    obstore.put(tides.store, tides.key(1), b"ruin", use_multipart=False)
    obstore.delete(tides.store, tides.key(2))
    found = tides.open().stored_state.verify()
    assert sorted((problem.place, problem.message) for problem in found.problems) == [
        (f"out {day(1)}", f"the delivered file {tides.place}/{day(1)}.parquet was changed"),
        (f"out {day(2)}", f"the delivered file {tides.place}/{day(2)}.parquet was deleted"),
    ]
    assert tides.open().stored_state.verify(repair=True).is_sound
    assert tides.open().stored_state.verify().is_sound
    assert tides.objects() == wanted(tides)


def test_an_earlier_version_is_restored(tides: Delivered) -> None:
    first = tides.run().run
    before = tides.objects()
    tides.edit("value * 2", "value * 3")
    tides.send(DAYS)
    last = tides.run().run
    after = tides.objects()
    assert before.keys() < after.keys()
    with tides.open() as project:
        restored = project.delivered_tables.restore("out", first, command="test")
    assert restored.removed == (day(DAYS),)
    assert tides.objects() == before
    assert tides.ok() == {}
    assert tides.objects() == before
    assert tides.open().stored_state.verify().is_sound
    with tides.open() as project:
        project.delivered_tables.restore("out", last, command="test")
    assert tides.objects() == after


@pytest.mark.parametrize("failing", ["put", "head", "delete"])
def test_what_a_store_does_not_take_stays_queued(
    tides: Delivered, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    tides.remove_missing()
    tides.ok()
    before = tides.objects()
    tides.send(1, (7.0,))
    tides.withdraw(2)

    class Away:
        def __getattr__(self, name: str) -> Any:
            return fail if name == failing else getattr(obstore, name)

    def fail(*_: Any, **__: Any) -> Any:
        raise GenericError("Error performing PUT http://h/b in 3s - timed out\n\nDebug")

    with monkeypatch.context() as patched:
        patched.setattr(parquet_objects, "obstore", Away())
        receipt = tides.run()
    assert receipt.exit_code == 1
    assert all("timed out; check its address" in message for message in receipt.messages)
    # No reader finds a part of a file, whatever was done of it.
    for partition, values in tides.objects().items():
        assert values in (before[partition], [14.0])
    # Others were delivered, and nothing is computed again for those that weren't.
    receipt = tides.run()
    assert (receipt.exit_code, tides.ran(receipt)) == (0, {})
    [message] = receipt.messages
    assert re.fullmatch("carried out (1 delivery|2 deliveries) left queued", message)
    assert tides.objects() == wanted(tides)
    assert tides.open().state().pending_effects == ()
    assert tides.ok() == {}


def test_other_environments_deliver_elsewhere(tides: Delivered) -> None:
    tides.ok()
    before = tides.objects()
    tides.edit("value * 2", "value * 3")
    with open_project(tides.root, workflow=flow_of(tides.root, tides.text), env="dev") as dev:
        assert dev.run().exit_code == 0
    assert tides.objects() == before
    other = tides.objects(f"{tides.place}@dev")
    assert {key: values[0] for key, values in other.items()} == dict.fromkeys(before, 9.0)


@pytest.mark.usefixtures("memory")
def test_a_table_does_not_replace_the_files_that_it_was_read_from(tmp_path: Path) -> None:
    tides = Delivered(tmp_path)
    tides.ok()
    tides.edit('tm.files("data/*.parquet")', f'tm.files("{tides.place}/*.parquet")')
    tides.edit("value = tm.Float64(nullable=True, max=1000)", "double = tm.Float64(nullable=True)")
    tides.edit('double=times(pl.col("value"))', 'double=times(pl.col("double"))')
    with pytest.raises(DeclarationError, match="among the files that raw reads"):
        tides.run()


def test_a_url_is_remote() -> None:
    assert parquet("s3://bucket/out").is_remote
    assert not parquet("out").is_remote
    assert not parquet("file:///srv/out").is_remote
    assert parquet("file:///srv/out").folder == "/srv/out"
