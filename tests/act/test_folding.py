"""A fold hands what all rows would give, and computes only what partitions that changed add to it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.act.tides import Tides, day

# raw -> totals: one row for each kind over all days, merged of what each day adds.
FLOW = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True, max=1000)


class Totals(tm.Contract, key=("id",)):
    id = Raw.id
    days = tm.UInt32()
    total = tm.Float64()
    worst = tm.Float64(nullable=True)


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.transform(
    fold={
        "raw": tm.fold(
            "id", days=tm.fold.count(), total=tm.fold.sum("value"), worst=tm.fold.max("value")
        )
    }
)
def totals(raw: tm.Frame[Raw]) -> tm.Frame[Totals]:
    return raw
"""


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return Tides(tmp_path, FLOW)


def test_all(tides: Tides) -> None:
    for n in range(20):
        tides.send(n)
    print(tides.run())
    print(tides.read("totals"))
    tides.send(7, (5.0, 6.0))
    print(tides.ran(tides.run()))
    print(tides.read("totals"))
