"""Optional columns from files and stages that don't give them: published all the same."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.tides import Tides
from tidemill.core.errors import DeclarationError, TidemillError

TEXT = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id"), unknown_columns="drop"):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    shape = tm.Struct({"x": tm.Int64(), "y": tm.List(tm.String())}, nullable=True, optional=True)
    size = tm.Int64(optional=True, default=7, min=1)


class Sized(tm.Contract, key=("day", "id")):
    day, id, size = Raw.day, Raw.id, Raw.size
    note = tm.String(optional=True, nullable=True)


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.transform
def sized(raw: tm.Frame[Raw]) -> tm.Frame[Sized]:
    return raw.select("day", "id", "size")
"""
DAY = date(2024, 3, 1)


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return Tides(tmp_path, TEXT)


def rows(tides: Tides, stage: str) -> list[tuple[object, ...]]:
    return tides.read(stage).sort("id").rows()


def write(tides: Tides, name: str, **columns: list[Any]) -> None:
    tides.put(name, pl.DataFrame({"day": [DAY] * len(columns["id"]), **columns}))


def test_files_with_and_without_a_column_feed_one_partition(tides: Tides) -> None:
    write(tides, "a.parquet", id=[1], more=["x"])
    write(tides, "b.parquet", id=[2], size=[3], shape=[{"x": 1, "y": ["a"]}])
    tides.ok()
    assert rows(tides, "raw") == [(DAY, 1, None, 7), (DAY, 2, {"x": 1, "y": ["a"]}, 3)]
    assert rows(tides, "sized") == [(DAY, 1, 7, None), (DAY, 2, 3, None)]


def test_a_column_that_comes_later_is_published(tides: Tides) -> None:
    write(tides, "a.parquet", id=[1])
    tides.ok()
    tides.edit('"size")', '"size", note=pl.lit("n"))')
    tides.ok()
    assert rows(tides, "sized") == [(DAY, 1, 7, "n")]


def test_another_default_is_published(tides: Tides) -> None:
    write(tides, "a.parquet", id=[1])
    tides.ok()
    tides.edit("default=7", "default=8")
    tides.ok()
    assert rows(tides, "sized") == [(DAY, 1, 8, None)]


def test_a_column_that_is_required_stays_a_fault(tides: Tides) -> None:
    write(tides, "a.parquet", size=[1], id=[1])
    tides.edit('"day", "id", "size"', '"day", "size"')
    with pytest.raises(TidemillError, match="the output has no column 'id' of contract Sized"):
        tides.run()


def test_a_name_that_is_given_twice_is_named(tides: Tides) -> None:
    write(tides, "a.parquet", id=[1])
    tides.edit('"day", "id", "size"', '"day", "id", "size", pl.col("size")')
    with pytest.raises(DeclarationError, match="duplicate output name 'size'"):
        tides.run()
