"""Marked frames: known in every plan, and the same as unmarked ones to the code that gets them."""

from __future__ import annotations

import random
from collections.abc import Callable

import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.query import drawn
from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

SCHEMA = {"a": pl.Int64(), "b": pl.Float64(), "s": pl.String(), "e": pl.Enum(["x", "y"])}
PLAIN = pl.LazyFrame(schema=SCHEMA)
MARKED = placeholder_frame("x", SCHEMA)


@pytest.mark.parametrize(
    "look",
    [
        lambda frame: frame.collect_schema(),
        lambda frame: frame.collect(),
        lambda frame: frame.select(pl.all()).collect(),
        lambda frame: frame.select(pl.nth(-1)).collect(),
        lambda frame: frame.select(cs.last()).collect(),
        lambda frame: frame.select(~cs.numeric()).collect(),
        lambda frame: frame.select(pl.col("^.*$")).collect(),
        lambda frame: frame.select(pl.len()).collect(),
        lambda frame: frame.with_row_index().collect(),
        lambda frame: frame.select(pl.struct(pl.all())).collect(),
        lambda frame: frame.join(frame, on="a").collect_schema(),
        lambda frame: frame.unpivot().collect_schema(),
        lambda frame: frame.sum().collect(),
        lambda frame: pl.concat([frame, PLAIN]).collect(),
        lambda frame: frame.null_count().collect(),
    ],
)
def test_the_mark_is_not_seen(look: Callable[[pl.LazyFrame], object]) -> None:
    assert str(look(MARKED)) == str(look(PLAIN))


@pytest.mark.parametrize(
    "use",
    [
        lambda frame: frame,
        lambda frame: frame.collect_schema() and frame,
        lambda frame: frame.columns and frame.select("a"),
        lambda frame: frame.join(frame, on="a"),
        lambda frame: frame.cache(),
        lambda frame: pl.concat([frame.select("a"), frame.select("a")]),
        lambda frame: frame.sql("select a from self"),
        lambda frame: frame.pivot("s", on_columns=["p"], index="e", values="a"),
        lambda frame: pl.LazyFrame.deserialize(frame.serialize()),
        lambda frame: frame.clone().lazy(),
        lambda frame: frame.match_to_schema(SCHEMA),
    ],
)
@pytest.mark.filterwarnings("ignore:Determining the column names")
@pytest.mark.filterwarnings("ignore:Accessing")
def test_the_mark_survives(use: Callable[[pl.LazyFrame], pl.LazyFrame]) -> None:
    found = query_digests(use(MARKED))
    assert all(
        "x" in column.reads and "a" in column.reads["x"] for column in [*found.columns.values()][:1]
    )
    assert {hit.kind for hit in found.opaque_parts} <= {"sql"}


@pytest.mark.parametrize(
    "name", ["x", "", "a b", "ünï", "__tidemill_input__ x", "'\"\\", "x" * 300]
)
def test_any_name_will_do(name: str) -> None:
    assert dict(query_digests(placeholder_frame(name, SCHEMA)).columns["a"].reads) == {name: ("a",)}


def test_frames_without_a_mark_are_data() -> None:
    found = query_digests(PLAIN)
    assert not found.opaque_parts
    assert not any(column.reads for column in found.columns.values())


def test_an_input_without_columns_still_has_rows() -> None:
    found = query_digests(placeholder_frame("x", {}).select(pl.len()))
    assert dict(found.columns["len"].reads) == {"x": ()}


@given(st.integers(0, 2**32 - 1))
def test_schemas_are_the_same_as_those_of_unmarked_frames(seed: int) -> None:
    stage = drawn.stage(random.Random(seed))
    frames = {name: placeholder_frame(name, schema) for name, schema in drawn.INPUTS.items()}
    assert drawn.schema(stage, frames) == drawn.schema(stage, drawn.empty())
