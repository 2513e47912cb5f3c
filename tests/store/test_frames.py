"""What a run made a moment ago is read from memory, all else from the store, and never mixed up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tides import Tides, day, rows_of
from tidemill.analysis.hashing import parquet_seal
from tidemill.analysis.query.column_reads import columns_read
from tidemill.analysis.query.scan_leaves import Leaves
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import DamagedObjectError, StorageError
from tidemill.ledger.binding import Binding, Part, Product
from tidemill.store import frames as frames_module
from tidemill.store.frames import PARQUET, FrameStore, encode, encode_all
from tidemill.testing.doubles import MemoryArtifacts


def bound(name: str) -> Binding:
    """A partition with one object."""
    product = Product(content=name, objects=(name,))
    return Binding(key="k", recipe="r", contract="1", check="c", product=product, run="r", at=0.0)


def encoded(frames: FrameStore, frame: pl.DataFrame) -> tuple[str, tuple[bytes, str]]:
    """The name of a frame's object and what it holds, with its suffix; the frame is kept."""
    return frames.encode_all([(frame, None)])[0]


@pytest.fixture
def contract(tmp_path: Path) -> ContractSpec:
    output = Tides(tmp_path).open().flow["raw"].output
    assert output is not None
    return output


def test_statistics_are_written_only_for_readers_outside() -> None:
    frame = rows_of(0)
    inside, outside = encode(frame), encode(frame, statistics=True)
    assert encoded(FrameStore(MemoryArtifacts(), lambda: None), frame)[1][0] == inside
    assert len(inside) < 0.9 * len(outside)
    for payload in (inside, outside):
        assert pl.read_parquet(payload).equals(frame)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(st.sampled_from(["", "é", None]), max_size=5)),
        max_size=12,
    ),
    st.booleans(),
)
def test_frames_are_encoded_together_as_each_alone(
    slices: list[tuple[int, list[str | None]]], statistics: bool
) -> None:
    table = pl.DataFrame({"number": [1.5, None, float("nan"), -0.0, 1e300] * 2})
    frames = [table.slice(at, 3) for at, _ in slices]
    frames += [pl.DataFrame({"text": rows}, schema={"text": pl.String}) for _, rows in slices]
    # One frame twice.
    frames += frames[:1]
    found = encode_all(frames, statistics=statistics)
    assert found == [encode(frame, statistics=statistics) for frame in frames]


@pytest.mark.parametrize("order", ["stored first", "stored last"])
def test_what_is_not_stored_yet_is_read_beside_what_is(contract: ContractSpec, order: str) -> None:
    artifacts = MemoryArtifacts()
    frames = FrameStore(artifacts, settle=lambda: None)
    stored = artifacts.put(*encoded(FrameStore(artifacts, lambda: None), rows_of(0))[1])
    fresh, _ = encoded(frames, rows_of(1))
    names = [stored, fresh] if order == "stored first" else [fresh, stored]
    frames.require({"raw": [bound(name) for name in names]})
    loaded = frames.load([bound(name) for name in names], contract).collect()
    numbers = (0, 1) if order == "stored first" else (1, 0)
    assert loaded.equals(pl.concat([rows_of(number) for number in numbers]))


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_stored_partitions_are_scanned_at_once_around_a_recent_one(
    contract: ContractSpec, engine: Any
) -> None:
    artifacts = MemoryArtifacts()
    before, frames = FrameStore(artifacts, lambda: None), FrameStore(artifacts, lambda: None)
    names = [artifacts.put(*encoded(before, rows_of(number))[1]) for number in range(30)]
    names[20], _ = encoded(frames, rows_of(20))
    query = frames.load([bound(name) for name in names], contract)
    assert query.explain(optimized=False).count("Parquet SCAN") == 2
    days = [rows_of(number) for number in range(30)]
    assert query.collect(engine=engine).equals(pl.concat(days))


# What reads columns and rows in the ways that Polars passes on to a scan.
QUERIES: dict[str, Callable[[pl.LazyFrame], pl.LazyFrame]] = {
    "all": lambda rows: rows,
    "some columns": lambda rows: rows.select(pl.col("value") + 1),
    "rows by a column that isn't in the result": lambda rows: rows.filter(
        pl.col("value") > 2
    ).select("id"),
    "the number of rows": lambda rows: rows.select(pl.len()),
    "no column": lambda rows: rows.select(one=pl.lit(1)),
    "positions": lambda rows: rows.with_row_index().select("index"),
    "the first rows": lambda rows: rows.head(4).select("id"),
    "those of the first rows that pass": lambda rows: rows.head(7).filter(pl.col("value") > 2),
    "the last rows that pass": lambda rows: rows.filter(pl.col("id") > 0).tail(3),
    "groups": lambda rows: rows.group_by("id", maintain_order=True).agg(pl.col("value").sum()),
    "a join with itself": lambda rows: rows.join(rows, on=["day", "id"], maintain_order="left"),
}


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
@pytest.mark.parametrize("query", QUERIES)
def test_rows_from_bytes_are_those_of_files(
    contract: ContractSpec, query: str, engine: Any
) -> None:
    artifacts = MemoryArtifacts()
    writer, frames = FrameStore(artifacts, lambda: None), FrameStore(artifacts, lambda: None)
    bindings = [bound(artifacts.put(*encoded(writer, rows_of(n))[1])) for n in (2, 0, 1)]
    held = frames.load(bindings, contract, in_memory=True)
    files = FrameStore(artifacts, lambda: None).load(bindings, contract)
    asked = [columns_read(QUERIES[query](rows), Leaves.of({"raw": rows})) for rows in (held, files)]
    assert asked[0] is not None
    assert asked[0] == asked[1]
    expected = QUERIES[query](files).collect(engine=engine)
    for binding in bindings:
        Path(artifacts.uri(binding.product.objects[0])).write_bytes(b"other")
    assert QUERIES[query](held).collect(engine=engine).equals(expected)


@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_rows_from_bytes_are_filtered_by_functions_that_cant_be_copied(
    contract: ContractSpec, engine: Any
) -> None:
    artifacts = MemoryArtifacts()
    name = artifacts.put(*encoded(FrameStore(artifacts, lambda: None), rows_of(0))[1])
    rows = FrameStore(artifacts, lambda: None).load([bound(name)], contract, in_memory=True)
    seen: list[int] = []
    lock = threading.Lock()

    def is_first(ids: pl.Series) -> pl.Series:
        with lock:
            seen.extend(ids)
        return ids.is_in([rows_of(0)["id"][0]])

    function = pl.col("id").map_batches(is_first, return_dtype=pl.Boolean, is_elementwise=True)
    found = rows.filter(function).collect(engine=engine)
    assert found.equals(rows_of(0).filter(pl.col("id") == rows_of(0)["id"][0]))
    # The streaming engine calls it for several parts side by side.
    assert sorted(seen) == sorted(rows_of(0)["id"])


def test_only_small_objects_are_kept_as_bytes(
    contract: ContractSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = MemoryArtifacts()
    writer = FrameStore(artifacts, lambda: None)
    small = bound(artifacts.put(*encoded(writer, rows_of(0))[1]))
    monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 1)
    large = bound(artifacts.put(*encoded(writer, rows_of(1))[1]))
    for bindings in ([large], [small, large]):
        query = FrameStore(artifacts, lambda: None).load(bindings, contract, in_memory=True)
        assert query.explain(optimized=False).count("Parquet SCAN") == 1
        rows = [rows_of(int(binding is large)) for binding in bindings]
        assert query.collect().equals(pl.concat(rows))


def test_only_some_bytes_are_kept(contract: ContractSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = MemoryArtifacts()
    writer = FrameStore(artifacts, lambda: None)
    bindings = [bound(artifacts.put(*encoded(writer, rows_of(n))[1])) for n in range(3)]
    sizes = [len(artifacts.get(binding.product.objects[0])) for binding in bindings]
    for limit, scans in ((sum(sizes), 0), (sum(sizes) - 1, 1)):
        monkeypatch.setattr(frames_module, "_KEEP_BYTES", limit)
        query = FrameStore(artifacts, lambda: None).load(bindings, contract, in_memory=True)
        assert query.explain(optimized=False).count("Parquet SCAN") == scans
        assert query.collect().equals(pl.concat([rows_of(n) for n in range(3)]))


def test_damaged_bytes_are_refused(contract: ContractSpec) -> None:
    artifacts = MemoryArtifacts()
    name = artifacts.put(*encoded(FrameStore(artifacts, lambda: None), rows_of(0))[1])
    artifacts.damage(name, artifacts.get(name)[:-1] + b"?")
    with pytest.raises(DamagedObjectError):
        FrameStore(artifacts, lambda: None).load([bound(name)], contract, in_memory=True)


def test_what_is_on_its_way_is_waited_for(contract: ContractSpec) -> None:
    artifacts = MemoryArtifacts()
    name, stored = encoded(FrameStore(artifacts, lambda: None), rows_of(0))

    def settle() -> None:
        artifacts.put(*stored)

    frames = FrameStore(artifacts, settle)
    frames.require({"raw": [bound(name)]})
    assert frames.load([bound(name)], contract).collect().equals(rows_of(0))


def test_what_never_comes_is_named() -> None:
    frames = FrameStore(MemoryArtifacts(), settle=lambda: None)
    with pytest.raises(StorageError, match="1 object of raw is missing"):
        frames.require({"raw": [bound("0" * 64 + PARQUET)]})


def test_no_partition_is_a_frame_without_rows(contract: ContractSpec) -> None:
    frame = FrameStore(MemoryArtifacts(), settle=lambda: None).load([], contract).collect()
    assert (frame.height, frame.columns) == (0, ["day", "id", "value"])


@pytest.mark.parametrize("recent", [True, False])
def test_columns_in_several_objects_are_put_side_by_side(
    contract: ContractSpec, recent: bool
) -> None:
    artifacts = MemoryArtifacts()
    writer = FrameStore(artifacts, lambda: None)
    halves = [encoded(writer, rows_of(0).select(names)) for names in (["id", "day"], ["value"])]
    names = tuple(artifacts.put(*stored) for _, stored in halves)
    parts = (
        Part(object=names[0], columns=("id", "day"), rowset="r"),
        Part(object=names[1], columns=("value",), rowset="r"),
    )
    columns = dict.fromkeys(("day", "id", "value"), "h")
    product = Product(content="c", objects=names, columns=columns, rowset="r", parts=parts)
    binding = Binding(
        key="k", recipe="r", contract="1", check="c", product=product, run="r", at=0.0
    )
    frames = writer if recent else FrameStore(artifacts, lambda: None)
    loaded = frames.load([binding], contract)
    assert loaded.collect().equals(rows_of(0))
    assert loaded.select("value").collect().equals(rows_of(0).select("value"))
    assert frames.partition(product).equals(rows_of(0))
    beside = frames.load([binding, bound(artifacts.put(*encoded(writer, rows_of(1))[1]))], contract)
    assert beside.collect().equals(pl.concat([rows_of(0), rows_of(1)]))


def test_a_partition_that_is_lost_is_said() -> None:
    product = Product(content="c", objects=("absent.parquet",), columns={"day": "h"})
    with pytest.raises(StorageError, match="absent"):
        FrameStore(MemoryArtifacts(), lambda: None).partition(product)


def test_kept_columns_may_differ_from_day_to_day(tmp_path: Path) -> None:
    text = Tides(tmp_path).text.replace(
        'class Raw(tm.Contract, key=("day", "id"))',
        'class Raw(tm.Contract, key=("day", "id"), unknown_columns="keep")',
    )
    text += """

class Total(tm.Contract):
    total = tm.Float64()


@flow.transform
def total(raw: tm.Frame[Raw]) -> tm.Frame[Total]:
    return raw.select(total=pl.col("value").sum())
"""
    tides = Tides(tmp_path, text)
    tides.send(0)
    tides.put(f"{day(1)}.parquet", rows_of(1).with_columns(extra=pl.lit("x")))
    tides.ok()
    assert tides.read("total")["total"].to_list() == [12.0]
    tides.put(f"{day(2)}.parquet", rows_of(2).with_columns(other=pl.lit(1)))
    tides.ok()
    assert tides.read("total")["total"].to_list() == [18.0]
    assert tides.read("raw").columns == ["day", "id", "value", "extra", "other"]
