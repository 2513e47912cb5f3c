"""Objects are verified once, as far as they are read, and again when they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tidemill.analysis.hashing import parquet_seal
from tidemill.core.errors import DamagedObjectError, StorageError
from tidemill.store.frames import encode, encode_sealed
from tidemill.store.verification import (
    ObjectVerifier,
    read_columns,
    scan_payloads,
    scan_verified,
    verify_object,
)
from tidemill.testing.doubles import MemoryArtifacts

FRAME = pl.DataFrame({"a": range(100), "b": [f"{n:x}" for n in range(100)]})


@pytest.fixture(autouse=True)
def _sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 0)


class Counting(MemoryArtifacts):
    """Counts how often objects are opened."""

    opened = 0

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        self.opened += 1
        with super().open(name) as found:
            yield found


def flipped(artifacts: MemoryArtifacts, name: str, at: int) -> bytes:
    payload = bytearray(artifacts.get(name))
    payload[at] ^= 1
    return bytes(payload)


def test_an_object_is_verified_once_for_what_is_read() -> None:
    artifacts = Counting()
    name = artifacts.put(*encode_sealed(FRAME))
    verifier = ObjectVerifier(artifacts)
    for columns, opened in (
        (["a"], 1),
        (["a"], 1),
        ([], 1),
        (["b"], 2),
        (["a", "b"], 2),
        (None, 3),
    ):
        verifier.verify({name: columns})
        assert artifacts.opened == opened
    verifier.verify({name: ["a"]})
    assert artifacts.opened == 3
    verifier.confirm([name, "never verified"])


def test_an_object_that_was_written_again_is_verified_again() -> None:
    artifacts = Counting()
    name = artifacts.put(*encode_sealed(FRAME))
    verifier = ObjectVerifier(artifacts)
    verifier.verify({name: ["a"]})
    artifacts.damage(name, bytes(bytearray(artifacts.get(name))))
    with pytest.raises(StorageError, match="was stored again while it was read: run again"):
        verifier.confirm([name])
    verifier.verify({name: ["a"]})
    artifacts.damage(name, flipped(artifacts, name, 8))
    with pytest.raises(DamagedObjectError):
        verifier.confirm([name])
    with pytest.raises(DamagedObjectError):
        verifier.verify({name: ["a"]})
    assert artifacts.find_missing([name]) == {name: "damaged"}


def test_an_object_without_checksums_is_verified_by_its_name() -> None:
    artifacts = MemoryArtifacts()
    name = artifacts.put(encode(FRAME), ".parquet")
    assert verify_object(artifacts, name, ["a"])[1]
    assert read_columns(artifacts, name, ["a"]).equals(FRAME.select("a"))
    artifacts.damage(name, flipped(artifacts, name, 8))
    with pytest.raises(DamagedObjectError):
        read_columns(artifacts, name, ["a"])
    with pytest.raises(StorageError, match="is missing"):
        read_columns(artifacts, "0" * 64 + ".parquet")


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_a_scan_gives_the_rows_and_verifies_what_is_asked_for(engine: Any) -> None:
    artifacts = MemoryArtifacts()
    names = [artifacts.put(*encode_sealed(FRAME.with_columns(pl.col("a") + n))) for n in range(5)]
    query = scan_verified(artifacts, [[(name, None)] for name in names])
    expected = pl.concat([FRAME.with_columns(pl.col("a") + n) for n in range(5)])
    assert query.collect(engine=engine).equals(expected)
    assert query.head(150).collect(engine=engine).equals(expected.head(150))
    first = query.head(150).filter(pl.col("b") == "1f")
    assert first.collect(engine=engine).equals(expected.head(150).filter(pl.col("b") == "1f"))
    filtered = query.filter(pl.col("b") == "1f").select("a")
    assert filtered.collect(engine=engine).equals(expected.filter(pl.col("b") == "1f").select("a"))
    # The first chunk is that of the first column.
    artifacts.damage(names[3], flipped(artifacts, names[3], 8))
    assert query.select("b").collect(engine=engine).equals(expected.select("b"))
    assert query.head(200).collect(engine=engine).equals(expected.head(200))
    for damaged in (query, query.select("a"), query.filter(pl.col("a") > 3).select("b")):
        with pytest.raises(DamagedObjectError):
            damaged.collect(engine=engine)


def test_columns_in_several_objects_are_put_side_by_side() -> None:
    artifacts = MemoryArtifacts()
    one, other = (artifacts.put(*encode_sealed(FRAME.select(name))) for name in ("a", "b"))
    query = scan_verified(artifacts, [[(other, ("b",)), (one, ("a",))]], ["a", "b"])
    assert query.collect().equals(FRAME)
    artifacts.damage(one, flipped(artifacts, one, 8))
    assert query.select("b").collect().equals(FRAME.select("b"))
    with pytest.raises(DamagedObjectError):
        query.collect()


WIDE = FRAME.with_columns(c=pl.col("a") * 2.5)
OTHERS = pl.LazyFrame({"x": [1, 2]})
QUERIES: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "all": lambda rows: rows,
    "one column": lambda rows: rows.select("b"),
    "another order": lambda rows: rows.select("c", "a"),
    "a filter": lambda rows: rows.filter(pl.col("a") > 90).select("c"),
    "a filter of the first": lambda rows: rows.head(150).filter(pl.col("a") > 90).select("b"),
    "the last": lambda rows: rows.tail(3).select("c"),
    "a sum": lambda rows: rows.select(pl.col("c").sum()),
    "their number": lambda rows: rows.select(pl.len()),
    "their number, filtered": lambda rows: rows.filter(pl.col("b") == "1f").select(pl.len()),
    "an index": lambda rows: rows.with_row_index().select("index"),
    "an index of the first": lambda rows: rows.head(150).with_row_index().select("index"),
    "an index of some": lambda rows: rows.slice(98, 7).with_row_index().select("index"),
    "the number of an index": lambda rows: rows.with_row_index().select(pl.len()),
    "a range": lambda rows: rows.select(pl.int_range(pl.len())),
    "a constant": lambda rows: rows.select(pl.repeat("x", pl.len())),
    "both": lambda rows: pl.concat([rows, rows]).with_row_index().select("index"),
    "a cross join": lambda rows: OTHERS.join(rows, how="cross").select("x").sort("x"),
}


def stored_parts(
    artifacts: MemoryArtifacts, *parts: tuple[str, ...]
) -> list[tuple[str, Sequence[str] | None]]:
    """The columns of the wide frame in several objects."""
    return [(artifacts.put(*encode_sealed(WIDE.select(part))), part) for part in parts]


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_each_query_finds_the_rows_that_are_stored(
    query: Callable[[pl.LazyFrame], pl.LazyFrame], engine: Any
) -> None:
    artifacts = MemoryArtifacts()
    name = artifacts.put(*encode_sealed(WIDE))
    split = stored_parts(artifacts, ("a",), ("b", "c"))
    split_otherwise = stored_parts(artifacts, ("c",), ("a", "b"))
    expected = query(pl.concat([WIDE.lazy()] * 3)).collect(engine=engine)
    for found in (
        scan_verified(artifacts, [[(name, None)]] * 3),
        scan_verified(artifacts, [split, [(name, None)], split_otherwise], WIDE.columns),
        scan_verified(artifacts, [split, split_otherwise, split], WIDE.columns, alike=False),
        scan_payloads([artifacts.get(name)] * 3),
    ):
        assert_frame_equal(query(found).collect(engine=engine), expected)


def test_small_objects_are_parsed_from_the_bytes_that_were_verified(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 2**20)
    artifacts = MemoryArtifacts()
    names = [artifacts.put(*encode_sealed(FRAME.with_columns(pl.col("a") + n))) for n in (0, 1)]
    parts = [artifacts.put(*encode_sealed(FRAME.select(name))) for name in FRAME.columns]
    # The same object twice, as where two partitions are equal.
    alike = scan_verified(artifacts, [[(name, None)] for name in (*names, names[0])])
    beside = scan_verified(artifacts, [[(parts[1], ("b",)), (parts[0], ("a",))]], ["a", "b"])
    for name in (*names, *parts):
        Path(artifacts.uri(name)).write_bytes(b"other")
    expected = [FRAME, FRAME.with_columns(pl.col("a") + 1), FRAME]
    assert alike.collect().equals(pl.concat(expected))
    assert alike.select("b").tail(1).collect().equals(FRAME.select("b").tail(1))
    assert beside.collect().equals(FRAME)
    artifacts.damage(names[1], flipped(artifacts, names[1], 8))
    with pytest.raises(DamagedObjectError):
        alike.collect()


def test_small_and_large_objects_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = MemoryArtifacts()
    large = artifacts.put(*encode_sealed(FRAME))
    monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 2**20)
    small = artifacts.put(*encode_sealed(FRAME.with_columns(pl.col("a") + 1)))
    query = scan_verified(artifacts, [[(large, None)], [(small, None)]])
    assert query.collect().equals(pl.concat([FRAME, FRAME.with_columns(pl.col("a") + 1)]))
    artifacts.damage(small, artifacts.get(large))
    with pytest.raises(DamagedObjectError):
        query.collect()
