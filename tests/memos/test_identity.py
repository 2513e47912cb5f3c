"""Which functions share results: those that give the same, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.core.errors import DeclarationError
from tidemill.memos.identity import (
    count_to_merge,
    is_probing,
    memo_digest,
    placeholder,
    probe_memos,
    space_name,
)
from tidemill.workflow.memo import MemoFunction, MemoPrice

HERE = ("3.11", "x86_64", "linux")


def one(text: list[str]) -> list[int]:
    return [len(value) for value in text]


def other(text: list[str]) -> list[int]:
    return [len(value) + 1 for value in text]


def blind(text: list[str]) -> list[Any]:
    return [LOCK for _ in text]


class _Odd:
    def __init__(self) -> None:
        self.reader = open


LOCK = _Odd()


def costly(function: Callable[..., Any] = one, **terms: Any) -> MemoFunction:
    named: dict[str, Any] = {
        "function": function,
        "name": "flows.embed",
        "arguments": ("text",),
        "gives": pl.Int64(),
        "version": "1",
    }
    return MemoFunction(**{**named, **terms})


DECLARED = costly()


@pytest.mark.parametrize(
    "terms",
    [
        {"version": "2"},
        {"model": "small-2"},
        {"name": "flows.embed_all"},
        {"arguments": ("texts",)},
        {"gives": pl.Int32()},
        {"gives": pl.List(pl.Int64)},
        {"version": ""},
    ],
)
def test_what_a_function_gives_depends_on(terms: dict[str, Any]) -> None:
    assert memo_digest(replace(DECLARED, **terms), HERE) != memo_digest(DECLARED, HERE)


@pytest.mark.parametrize(
    "terms",
    [
        {"function": other},  # its version says what it does
        {"price": MemoPrice(amount=1.0)},
        {"batch": 7, "concurrency": 1, "min_interval_s": 3.0},
        {"place": "flows.py:7"},
    ],
)
def test_how_it_is_called_does_not_count(terms: dict[str, Any]) -> None:
    assert memo_digest(replace(DECLARED, **terms), ()) == memo_digest(DECLARED, HERE)


def test_a_recipe_is_as_it_always_was() -> None:
    assert memo_digest(DECLARED, HERE) == "480fdaca11c013af0e008fc89771f40e"


def test_without_a_version_the_code_counts_and_what_it_runs_on() -> None:
    found = {
        memo_digest(costly(one, version=""), HERE),
        memo_digest(costly(other, version=""), HERE),
        memo_digest(costly(one, version=""), ("3.12", *HERE[1:])),
    }
    assert len(found) == 3
    assert memo_digest(costly(one, version=""), HERE) in found


def digest(call: Callable[[pl.LazyFrame], pl.LazyFrame]) -> str:
    frame = placeholder_frame("frame", {"a": pl.String(), "b": pl.String(), "c": pl.String()})
    found = query_digests(call(frame))
    assert found.opaque_parts == ()
    assert found.columns["v"].reads == {"frame": ("a", "b")}
    return found.columns["v"].digest


def test_in_a_query_it_stands_for_what_it_gives() -> None:
    def stands(recipe: str, one: str, other: str, gives: Any = pl.Int64) -> str:
        columns = [pl.col(one).alias("x"), pl.col(other).alias("y")]
        return digest(lambda frame: frame.select(v=placeholder(recipe, columns, gives)))

    same = stands("r", "a", "b")
    assert stands("r", "a", "b") == same
    others = {stands("s", "a", "b"), stands("r", "b", "a"), stands("r", "a", "b", pl.List(pl.Int8))}
    assert len({same, *others}) == 4
    schema = pl.LazyFrame(schema={"a": pl.Int64}).select(
        v=placeholder("r", [pl.col("a")], pl.Categorical())
    )
    assert schema.collect_schema() == {"v": pl.Categorical()}


def test_it_stands_so_only_while_a_query_is_looked_at() -> None:
    assert not is_probing()
    with probe_memos() as called:
        assert is_probing()
        placeholder("recipe", [pl.col("text")], pl.Int64)
        assert called == ["recipe"]
    assert not is_probing()


def test_code_that_cannot_be_told_needs_a_version() -> None:
    with pytest.raises(DeclarationError, match=r"declare a version of the function: @tm.memo"):
        memo_digest(costly(blind, version=""), HERE)
    assert memo_digest(costly(blind), HERE)


def test_rows_of_other_types_are_kept_apart() -> None:
    kinds: list[list[pl.Series]] = [
        [pl.Series([1], dtype=pl.Int32)],
        [pl.Series([1], dtype=pl.Int64)],
        [pl.Series(["1"])],
        [pl.Series(["1"]), pl.Series(["1"])],
        [pl.Series([None], dtype=pl.Datetime("us"))],
        [pl.Series([None], dtype=pl.Datetime("ms"))],
        [pl.Series([None], dtype=pl.Datetime("us", "UTC"))],
        [pl.Series([None], dtype=pl.Enum(["a"]))],
        [pl.Series([None], dtype=pl.Enum(["a", "b"]))],
        [pl.Series([None], dtype=pl.List(pl.String))],
        [pl.Series([None], dtype=pl.Decimal(9, 2))],
        [pl.Series([None], dtype=pl.Decimal(9, 3))],
    ]
    spaces = [space_name("flows.embed", "r", columns) for columns in kinds]
    assert len(set(spaces)) == len(kinds)
    assert space_name("flows.embed", "s", kinds[0]) not in spaces


def test_a_space_is_a_folders_name() -> None:
    space = space_name("flows.make.<locals>./embed" + "x" * 80, "r", [pl.Series([1])])
    assert space.startswith("x")
    assert len(space) < 100
    assert space_name("a.<locals>/b", "r", []).startswith("a._locals_b-")


KB, MB = 2**10, 2**20


@pytest.mark.parametrize(
    ("sizes", "newest"),
    [
        ([], 0),
        ([KB] * 7, 0),
        ([KB] * 8, 8),
        ([MB, *[KB] * 8], 8),  # the first is too large beside them
        ([32 * KB, *[KB] * 8], 9),  # but to copy next to nothing costs nothing
        ([MB, *[200 * KB] * 8], 9),
        ([100 * MB] * 8, 0),  # together they'd be too large
        ([MB, None, *[KB] * 7], 0),  # somebody is at them
        ([MB, None, *[KB] * 8], 8),
        ([600 * MB], 0),
    ],
)
def test_which_segments_become_one(sizes: list[int | None], newest: int) -> None:
    assert count_to_merge(sizes) == newest


@pytest.mark.parametrize("rows", ["alike", "mixed"])
@pytest.mark.parametrize("mean", [KB, 20 * KB, 2 * MB])
def test_segments_stay_few_and_rows_are_seldom_copied(mean: int, rows: str) -> None:
    random = np.random.default_rng(0)
    added = [mean] * 5_000 if rows == "alike" else (random.exponential(mean, 5_000) + 1).tolist()
    held, copied, most = list[int](), 0, 0
    for size in map(int, added):
        held.append(size)
        if newest := count_to_merge(held):
            copied += (merged := sum(held[-newest:]))
            held[-newest:] = [merged]
        most = max(most, len(held))
    assert sum(held) == sum(map(int, added))
    # Those that are as large as they get, and eight of each fourfold size below.
    assert most <= sum(held) / (32 * MB) + 8 * 8
    assert copied <= 16 * sum(held)
