"""What a run made a moment ago is read from memory, all else from the store, and never mixed up."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.act.tides import Tides, day, rows_of
from tidemill.act.frames import PARQUET, Frames
from tidemill.domain.binding import Binding, Product
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import StorageError
from tidemill.testing.memory import MemoryArtifacts


def bound(name: str) -> Binding:
    """A partition with one object."""
    product = Product(content=name, objects=(name,))
    return Binding(key="k", recipe="r", contract="1", check="c", product=product, run="r", at=0.0)


@pytest.fixture
def contract(tmp_path: Path) -> ContractSpec:
    output = Tides(tmp_path).open().flow["raw"].output
    assert output is not None
    return output


@pytest.mark.parametrize("order", ["stored first", "stored last"])
def test_what_is_not_stored_yet_is_read_beside_what_is(contract: ContractSpec, order: str) -> None:
    artifacts = MemoryArtifacts()
    frames = Frames(artifacts, settle=lambda: None)
    stored = artifacts.put(Frames(artifacts, lambda: None).encode(rows_of(0))[1], PARQUET)
    fresh, _ = frames.encode(rows_of(1))
    names = [stored, fresh] if order == "stored first" else [fresh, stored]
    frames.require({"raw": [bound(name) for name in names]})
    loaded = frames.load([bound(name) for name in names], contract).collect()
    numbers = (0, 1) if order == "stored first" else (1, 0)
    assert loaded.equals(pl.concat([rows_of(number) for number in numbers]))


def test_what_is_on_its_way_is_waited_for(contract: ContractSpec) -> None:
    artifacts = MemoryArtifacts()
    name, payload = Frames(artifacts, lambda: None).encode(rows_of(0))

    def settle() -> None:
        artifacts.put(payload, PARQUET)

    frames = Frames(artifacts, settle)
    frames.require({"raw": [bound(name)]})
    assert frames.load([bound(name)], contract).collect().equals(rows_of(0))


def test_what_never_comes_is_named() -> None:
    frames = Frames(MemoryArtifacts(), settle=lambda: None)
    with pytest.raises(StorageError, match="1 objects of raw are gone"):
        frames.require({"raw": [bound("0" * 64 + PARQUET)]})


def test_no_partition_is_a_frame_without_rows(contract: ContractSpec) -> None:
    frame = Frames(MemoryArtifacts(), settle=lambda: None).load([], contract).collect()
    assert (frame.height, frame.columns) == (0, ["day", "id", "value"])


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
