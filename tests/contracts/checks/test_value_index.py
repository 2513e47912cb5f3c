"""Values that other partitions have, beside a look at every row."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.checks import value_index as subject
from tidemill.contracts.checks.value_index import ValueIndex, comparison_type
from tidemill.contracts.dtype import DType

TYPES = {"a": pl.Int64(), "b": pl.String()}


def frame(rows: list[tuple[int | None, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TYPES, orient="row")


def found(keys: ValueIndex, asked: pl.DataFrame) -> set[tuple[int, int]]:
    return set(keys.find_matches(keys.complete_rows(asked)).iter_rows())


ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 5), st.none() | st.sampled_from("xyz")), max_size=8
)


@given(st.lists(ROWS, max_size=6), ROWS)
def test_every_kept_row_is_found_and_no_other(
    parts: list[list[tuple[int | None, str | None]]], asked: list[tuple[int | None, str | None]]
) -> None:
    keys = ValueIndex(TYPES)
    for number, rows in enumerate(parts):
        keys.add(frame(rows), number)
    whole = [row for row in asked if None not in row]
    assert found(keys, frame(asked)) == {
        (at, number)
        for at, row in enumerate(whole)
        for number, rows in enumerate(parts)
        if row in rows
    }


def test_what_only_has_the_same_hash_is_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_hashes", lambda keys: np.zeros(keys.height, np.uint64))
    keys = ValueIndex(TYPES)
    keys.add(frame([(1, "x"), (2, "x"), (3, "y")]), 7)
    assert found(keys, frame([(2, "x"), (2, "y"), (4, "x")])) == {(0, 7)}


def test_owners_may_differ_by_row() -> None:
    keys = ValueIndex(TYPES)
    keys.add(frame([(1, "x"), (None, "x"), (3, "y")]), pl.Series([5, 6, 7], dtype=pl.UInt32))
    assert found(keys, frame([(3, "y"), (1, "x")])) == {(0, 7), (1, 5)}


def test_runs_of_one_size_are_merged() -> None:
    keys = ValueIndex({"a": pl.Int64()})
    for number in range(100):
        keys.add(pl.DataFrame({"a": [number]}), number)
    assert len(keys._runs) <= 8
    assert sum(len(hashes) for hashes, _ in keys._runs) == 100


@pytest.mark.parametrize(
    ("kept", "asked", "matches"),
    [
        ([0.0], [-0.0], True),
        ([float("nan"), None], [float("nan"), None], False),
        ([1.5], [1.5], True),
        ([True], [True], True),
        ([date(2026, 1, 1)], [date(2026, 1, 1)], True),
        ([b"x"], [b"x"], True),
    ],
)
def test_values_as_they_compare(kept: list[Any], asked: list[Any], matches: bool) -> None:
    keys = ValueIndex({"a": pl.DataFrame({"a": kept}).schema["a"]})
    keys.add(pl.DataFrame({"a": kept}), 0)
    assert bool(found(keys, pl.DataFrame({"z": asked}))) == matches


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (DType("Enum", ("a",)), DType("String"), pl.String()),
        (DType("Enum", ("a",)), DType("Enum", ("b",)), pl.String()),
        (DType("Int32"), DType("Int64"), pl.Int64()),
        (DType("Int64"), DType("Int32"), pl.Int64()),
        (DType("Date"), DType("Date"), pl.Date()),
    ],
)
def test_two_types_are_compared_in_the_wider(one: DType, other: DType, kind: pl.DataType) -> None:
    assert comparison_type(one, other) == kind


def test_texts_of_any_kind_are_the_same_values() -> None:
    keys = ValueIndex({"a": pl.String()})
    keys.add(pl.DataFrame({"a": pl.Series(["x", "y"], dtype=pl.Enum(["y", "x"]))}), 0)
    keys.add(pl.DataFrame({"a": pl.Series(["z"], dtype=pl.Categorical)}), 1)
    assert found(keys, pl.DataFrame({"a": ["z", "w", "x"]})) == {(0, 1), (2, 0)}
