"""Plans as text: nothing is lost, nothing that is only chance is kept, and what can't be read says why."""

from __future__ import annotations

import json
import math
import random
import re
import sys
import warnings
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.behaviour.query.test_mutations import EXPRESSIONS, QUERIES, query, quiet
from tests.support.query import drawn
from tests.support.query.judge import MARKED
from tidemill.analysis.query import column_digests as numbering
from tidemill.analysis.query import serialized as text
from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.serialized import (
    UnreadableQuery,
    is_supported,
    node_schema,
    parse_query,
    serialize_query,
)

X = placeholder_frame("x", {"a": pl.Int64(), "b": pl.Float64()})


def whole(frame: pl.LazyFrame) -> bool:
    """Whether the binary form of a query can be made of its text."""
    text = serialize_query(frame)
    again = pl.LazyFrame.deserialize(BytesIO(text.encode()), format="json")
    return again.serialize() == frame.serialize()


def shares(frame: pl.LazyFrame) -> bool:
    """Whether an input is used twice: the binary form then writes it once, with numbers of its own."""
    text = serialize_query(frame)
    return any(
        text.count(f'"__tidemill_input__ {name}":') > 1 for name in ("x", "y", *drawn.INPUTS)
    )


@given(st.integers(0, 2**32 - 1))
def test_text_holds_all_that_the_binary_form_holds(seed: int) -> None:
    stage = drawn.stage(random.Random(seed))
    with quiet():
        frame = stage(MARKED)
        assert "nan" in stage.source or shares(frame) or whole(frame)


@pytest.mark.parametrize("group", QUERIES)
def test_the_text_of_a_query_holds_all_of_it(group: str) -> None:
    for frame in map(query, QUERIES[group]):
        assert shares(frame) or whole(frame)


@pytest.mark.parametrize("group", EXPRESSIONS)
def test_the_text_of_an_expression_holds_all_of_it(group: str) -> None:
    for source in EXPRESSIONS[group]:
        frame = query(f"x.select(v=({source}))")
        if "float(" not in source:
            assert whole(frame)
        else:
            assert not re.search(
                r'"Float(32|64)?":null|breaks":\[[^]]*null', serialize_query(frame)
            )


@pytest.mark.parametrize("dtype", [pl.Float64, pl.Float32, None])
def test_numbers_that_are_not_finite_are_told_apart(dtype: Any) -> None:
    values = [math.nan, math.inf, -math.inf, 0.0, -0.0, None, 1.0]
    found = {
        str(v): query_digests(X.select(v=pl.lit(v, dtype))).columns["v"].digest for v in values
    }
    assert len(set(found.values())) == len(values)


def test_a_number_that_stands_for_nan_is_refused_beside_one() -> None:
    stand_in = float.fromhex("0x1.91ab5c3d7e211p+1023")
    assert query_digests(X.select(v=pl.lit(stand_in)))
    with pytest.raises(UnreadableQuery, match="stands for NaN"):
        query_digests(X.select(v=pl.lit(stand_in), w=pl.lit(math.nan)))


def test_looking_at_a_schema_leaves_no_trace() -> None:
    def stage(*, look: bool) -> pl.LazyFrame:
        frame = X.filter(pl.col("a") > 1)
        if look:
            assert frame.collect_schema()
        return frame.with_columns(c=pl.col("b") * 2)

    plain, looked = (serialize_query(stage(look=look)) for look in (False, True))
    assert plain != looked
    assert parse_query(plain) == parse_query(looked)


def test_names_of_caches_are_left_out() -> None:
    one, two = (parse_query(serialize_query(X.cache().select("a"))) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("record", [{"IR": "Int64"}, {"Cache": "Int64"}, {"IR": {"version": 1}}])
def test_only_wrappers_are_unwrapped(record: dict[str, Any]) -> None:
    assert parse_query(json.dumps(record)) == record


def test_columns_may_be_called_like_wrappers() -> None:
    frame = placeholder_frame(
        "x", {"IR": pl.Int64(), "Cache": pl.Int64(), "DataFrameScan": pl.String()}
    )
    found = query_digests(frame.select(IR=pl.struct("IR", "Cache"), v="DataFrameScan"))
    assert dict(found.columns["IR"].reads) == {"x": ("IR", "Cache")}
    assert not found.opaque_parts


def test_no_warning_is_raised_or_hidden_from_others() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        query_digests(X.select("a"))
        warnings.warn("mine", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["mine"]


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("2.1.0", True),
        ("2.1.7", True),
        ("2.2.0", False),
        ("2.10.0", False),
        ("3.1.0", False),
        ("2", False),
    ],
)
def test_only_known_releases_are_supported(version: str, good: bool) -> None:
    assert is_supported(version) == good


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "SUPPORTED", ((1, 9),))
    with pytest.raises(
        UnreadableQuery,
        match=rf"Polars {pl.__version__} are not supported \(supported: 1\.9; install",
    ):
        query_digests(X)


@pytest.mark.parametrize(
    "frame",
    [
        X.with_columns(pl.col("a").map_elements(lambda value: value, return_dtype=pl.Int64)),
        X.map_batches(lambda frame: frame),
        X.with_columns(pl.lit(object(), allow_object=True)),
        X.group_by("a").map_groups(lambda frame: frame, schema=None),
        X.with_columns(pl.fold(pl.lit(0), lambda left, right: left + right, ["a", "b"])),
    ],
)
def test_what_polars_cannot_write_is_never_taken_for_a_query(
    frame: pl.LazyFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where there is cloudpickle, Polars writes the bytes of functions, which say nothing for sure.
    if find_spec("cloudpickle") is not None:
        kinds = {"unreadable"}
        with suppress(UnreadableQuery):
            kinds = {hit.kind for hit in query_digests(frame).opaque_parts}
        assert kinds & {"python", "unreadable"}
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(
        UnreadableQuery, match=r"a Python function in its query|Polars can't serialize"
    ):
        query_digests(frame)


@pytest.mark.parametrize("depth", [20_000, 700])
def test_what_is_nested_too_deep_is_unreadable(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = json.dumps({"Column": "a"})
    plus = ('{"BinaryExpr":{"left":', ',"op":"Plus","right":{"Literal":{"Dyn":{"Int":1}}}}}')
    plan = serialize_query(X.select("a")).replace(
        inner.replace(" ", ""), plus[0] * depth + inner + plus[1] * depth
    )
    monkeypatch.setattr(numbering, "serialize_query", lambda _: plan)
    with pytest.raises(UnreadableQuery, match="nested too deeply"):
        query_digests(X.select("a"))


def test_a_sum_of_many_columns_is_not_too_deep() -> None:
    total = pl.lit(0)
    for _ in range(200):
        total = total + pl.col("a")
    assert dict(query_digests(X.select(v=total)).columns["v"].reads) == {"x": ("a",)}


def test_the_schema_of_a_part_is_that_of_polars() -> None:
    node = json.loads(serialize_query(X.select("b", c=pl.col("a") / 2)))
    assert node_schema(node) == {"b": pl.Float64, "c": pl.Float64}
    assert node_schema(node["Select"]["input"]) == {"a": pl.Int64, "b": pl.Float64}
