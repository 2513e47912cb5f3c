"""What a query's text doesn't tell is found wherever it hides."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tests.behaviour.query.test_mutations import quiet
from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.opaque_parts import OpaquePart, find_opaque_parts
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.serialized import parse_query, serialize_query

X = placeholder_frame("x", {"a": pl.Int64(), "s": pl.String(), "l": pl.List(pl.Int64)})
A = pl.col("a")


def found(frame: pl.LazyFrame) -> list[tuple[str, str]]:
    with quiet():
        return [(hit.kind, hit.name) for hit in query_digests(frame).opaque_parts]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (X.filter(A > 1), []),
        (X.select(pl.lit("cloudpickle PLPYFN Scan FfiPlugin AnonymousFunction")), []),
        (placeholder_frame("x", {"Scan": pl.Int64(), "SQL": pl.Int64(), "seed": pl.Null()}), []),
        (X.join(pl.LazyFrame({"a": [1]}), on="a"), []),
        (X.select(A.rank()), []),
        (X.select(A.sample(2, seed=1)), []),
        (X.select(A.name.map(str.upper)), [("python", "a Python function in Map")]),
        (X.rename(str.upper), [("python", "a Python function in Map")]),
        (X.with_columns(A.sample(2)), [("unseeded", "sample")]),
        (X.with_columns(A.shuffle()), [("unseeded", "shuffle")]),
        (X.with_columns(A.rank("random")), [("unseeded", "random")]),
        (X.with_columns(pl.col("l").list.sample(1)), [("unseeded", "sample")]),
        (X.with_columns(pl.col("l").list.eval(pl.element().shuffle())), [("unseeded", "shuffle")]),
        (X.group_by("s").agg(A.sample(1).first()), [("unseeded", "sample")]),
        (X.join(pl.scan_csv("more.csv", schema={"a": pl.Int64()}), on="a"), [("scan", "more.csv")]),
        (
            X.join(pl.scan_parquet("more.parquet", schema={"a": pl.Int64()}), on="a"),
            [("scan", "more.parquet")],
        ),
        (X.sql("select a from self"), [("sql", "select a from self")]),
    ],
)
def test_strangers_are_found(frame: pl.LazyFrame, expected: list[tuple[str, str]]) -> None:
    assert found(frame) == expected


def test_a_dead_stranger_counts_too() -> None:
    assert found(X.with_columns(v=A.sample(2)).select("a")) == [("unseeded", "sample")]


def test_a_plugin_is_found_in_a_plan() -> None:
    plan = parse_query(serialize_query(X.select(A.abs())))
    plan["Select"]["expr"][0]["Function"]["function"] = {
        "FfiPlugin": {"flags": {}, "lib": "nowhere/lib.so", "symbol": "work", "kwargs": []}
    }
    assert find_opaque_parts(json.dumps(plan), plan) == (
        OpaquePart("plugin", "nowhere/lib.so:work"),
    )


CODE = {
    "PLPYFN": [*b"PLPYFN", 1, 2],
    "cloudpickle": [0, *b"..cloudpickle.."],
    "pickle 4": [0, 11, *b"\x80\x04\x95", 7],
    "pickle 5": [0, 11, *b"\x80\x05\x95", 7],
}


@pytest.mark.parametrize("place", ["callback", "Map", "what nobody knows"])
@pytest.mark.parametrize("kind", CODE)
def test_code_is_found_under_any_name(kind: str, place: str) -> None:
    plan = {"Thing": {"parts": [{"deep": [[{place: CODE[kind]}]]}]}}
    text = json.dumps(plan, separators=(",", ":"))
    assert find_opaque_parts(text, plan) == (OpaquePart("python", f"a Python function in {place}"),)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ({"GroupBy": {"apply": {"AnonymousFunction": {}}}}, {"python"}),
        ({"Function": {"function": {"FoldHorizontal": {"callback": []}}}}, {"python"}),
        ({"MapFunction": {"function": {"OpaquePython": {}}}}, {"python"}),
        ({"Sink": {"payload": {}}}, {"sink"}),
        ({"inputs": ["Resolver"]}, {"source"}),
        ({"PythonScan": {"options": {"scan_fn": [128, 4, 149, 1]}}}, {"source", "python"}),
        ({"Scan": {"sources": {"Buffers": []}, "scan_type": {"Csv": {}}}}, {"scan"}),
        ({"Scan": {}}, {"scan"}),
        ({"Scan": "Int64"}, set()),
        ({"Thing": {"seed": None}}, {"unseeded"}),
        ({"Thing": {"seed": 1}}, set()),
        ({"Thing": {"seed": None, "options": None}}, {"unseeded"}),
        ({"Thing": {"seed": None, "method": ["New"]}}, {"unseeded"}),
        ({"PipeWithDtype": [{"Column": "a"}, []]}, {"python"}),
        ({"FfiPlugin": []}, {"plugin"}),
        ({"schema": {"fields": {"Scan": {"List": "Int64"}, "SQL": {"Struct": []}}}}, set()),
    ],
)
def test_kinds_of_strangers(plan: dict[str, Any], expected: set[str]) -> None:
    text = json.dumps(plan, separators=(",", ":"))
    assert {hit.kind for hit in find_opaque_parts(text, plan)} == expected


def test_what_is_not_determined_says_so() -> None:
    assert query_digests(X.with_columns(A.sample(2))).unstable == "sample without a seed"
    assert not query_digests(X.with_columns(A.sample(2, seed=1))).unstable
