"""Frames that are recognised in a plan, and what they are for the stage that is handed them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.input_frames import RUN, handed
from tidemill.analysis.query.scan_leaves import Leaves, RowsRequested, recording_frame, tag_frame

TABLE = pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


def test_a_noting_source_notes_that_it_is_read_and_gives_nothing() -> None:
    noted: list[str] = []
    frame = recording_frame("raw", {"a": pl.Int64(), "b": pl.String()}, noted)
    assert frame.collect_schema() == {"a": pl.Int64, "b": pl.String}
    assert frame.join(frame, on="a").sort("b").explain()
    assert noted == []
    with pytest.raises(RowsRequested, match="raw"):
        frame.select("a").collect()
    assert noted == ["raw"]


@pytest.mark.parametrize(
    "table", [TABLE, TABLE.clear(), TABLE.tail(1), pl.concat([TABLE, TABLE], rechunk=False)]
)
def test_a_marked_frame_is_what_the_frame_is(table: pl.DataFrame) -> None:
    frame = tag_frame("raw", table)
    assert frame.collect_schema() == table.schema
    assert frame.collect().equals(table)
    assert frame.select(pl.len()).collect().item() == table.height
    assert frame.with_row_index().select("index").collect().height == table.height
    assert frame.select(pl.nth(-1)).collect().columns == ["b"]
    for engine in ("in-memory", "streaming"):
        assert (
            frame.filter(pl.col("a") > 1)
            .collect(engine=engine)
            .equals(table.filter(pl.col("a") > 1))
        )


def test_leaves_of_the_frames_of_a_run(tmp_path: Path) -> None:
    tables = {"one": TABLE, "two": TABLE.select("b")}
    for kind in RUN:
        leaves = Leaves.of(handed(tables, kind, tmp_path))
        assert leaves is not None
        assert leaves.schemas == {"one": ("a", "b"), "two": ("b",)}
        assert sorted(leaves.owners.values()) == sorted(
            [("one",), ("two",)] * (1 + (kind == "parts"))
        )


def test_shared_leaves_have_several_owners() -> None:
    frames = {
        "one": pl.concat([tag_frame("x", TABLE), tag_frame("y", TABLE), tag_frame("x", TABLE)]),
        "two": tag_frame("x", TABLE),
    }
    leaves = Leaves.of(frames)
    assert leaves is not None
    assert sorted(leaves.owners.values()) == [("one",), ("one", "two")]


def test_a_frame_that_could_not_be_told_is_refused() -> None:
    with pytest.raises(ValueError, match="input 'raw' is in memory, but not marked"):
        Leaves.of({"raw": TABLE.lazy()})
    empty = Leaves.of({"raw": TABLE.lazy().clear(), "other": pl.LazyFrame(schema={"a": pl.Int64})})
    assert empty == Leaves({"raw": ("a", "b"), "other": ("a",)}, {})
