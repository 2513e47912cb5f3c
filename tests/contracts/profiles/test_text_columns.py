"""Texts: the most frequent, how long they are, and how many different ones."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.histogram import bins_of, counts_of
from tidemill.contracts.profiles.partition_profile import merge_profiles, profile_frame
from tidemill.contracts.profiles.record import ColumnProfile
from tidemill.contracts.profiles.text_columns import MAX_CATEGORIES, MAX_CATEGORY_BYTES, hashes_of


def told(series: pl.Series) -> ColumnProfile:
    return profile_frame(series.alias("x").to_frame())["x"]


@given(st.lists(st.text(max_size=80), max_size=30, unique=True))
def test_different_texts_have_different_hashes(texts: list[str]) -> None:
    hashes, lengths = hashes_of(pl.Series(texts, dtype=pl.String))
    assert len(set(hashes.tolist())) == len(texts)
    assert lengths.tolist() == [len(text.encode()) for text in texts]


@given(st.lists(st.binary(max_size=80), max_size=30), st.integers(0, 30))
def test_a_hash_is_of_the_value_alone(values: list[bytes], at: int) -> None:
    series = pl.Series(values, dtype=pl.Binary)
    whole = hashes_of(series)[0].tolist()
    apart = pl.concat([series[at:].to_frame(), series[:at].to_frame()], rechunk=False).to_series()
    assert hashes_of(apart)[0].tolist() == whole[at:] + whole[:at]


@pytest.mark.parametrize("length", [12, 13, 20, 64, 65, 200])
def test_texts_that_begin_alike_are_told_apart(length: int) -> None:
    texts = [f"{n:0{length}}" for n in range(5000)]
    found = told(pl.Series(texts))
    assert found.distinct == pytest.approx(5000, rel=4 * 0.046)
    assert not found.is_exact


def test_lengths_are_in_bytes() -> None:
    lengths = told(pl.Series(["", "a", "é", "b", None])).lengths
    assert lengths is not None
    assert (bins_of(lengths).tolist(), counts_of(lengths).tolist()) == ([0, 44, 72], [1, 2, 1])


def test_categories_have_no_lengths_and_no_order() -> None:
    for dtype in (pl.Categorical(), pl.Enum(["a", "b"])):
        found = told(pl.Series(["b", "a", "b"], dtype=dtype))
        assert (found.lengths, found.least, found.distinct) == (None, None, 2)
        assert found.categories is not None
        assert found.categories.counts == {"b": 2, "a": 1}


def test_more_categories_than_are_listed() -> None:
    names = [f"c{n:04}" for n in range(2_000)]
    found = told(pl.Series([*names, *names[:10]], dtype=pl.Categorical()))
    assert found.categories is not None
    assert found.categories.counts == dict.fromkeys(names[:10], 2)
    assert (found.categories.others, found.categories.missed) == (1990, 1)
    assert found.distinct == pytest.approx(2000, rel=4 * 0.046)


def test_booleans_are_counted() -> None:
    found = told(pl.Series([True, None, False, True]))
    assert found.categories is not None
    assert list(found.categories.counts.items()) == [("true", 2), ("false", 1)]
    assert (found.least, found.most, found.distinct, found.nulls) == (False, True, 2, 1)
    assert told(pl.Series([None], dtype=pl.Boolean)).distinct == 0


def test_a_few_of_which_one_is_too_long() -> None:
    found = told(pl.Series(["x" * (MAX_CATEGORY_BYTES + 1), "a", "a"]))
    assert found.categories is not None
    assert (found.categories.counts, found.categories.missed) == ({"a": 2}, 1)
    assert found.distinct == 2


def test_parts_that_list_all_merge_with_one_that_cannot() -> None:
    many = pl.DataFrame({"x": [f"{n}" for n in range(MAX_CATEGORIES + 8)]})
    few = pl.DataFrame({"x": ["a", "0", "0"]})
    merged = merge_profiles([profile_frame(few), profile_frame(many), profile_frame(few.clear())])[
        "x"
    ]
    assert merged.distinct == MAX_CATEGORIES + 9
    assert merged.categories is not None
    assert merged.categories.counts["0"] == 2
    assert merged.categories.missed == 1


def test_lists_and_binaries_have_lengths() -> None:
    lists = told(pl.Series([[1, 2], [], None], dtype=pl.List(pl.Int64))).lengths
    binaries = told(pl.Series([b"12", b"", None], dtype=pl.Binary)).lengths
    assert lists == binaries
    assert lists is not None
    assert np.array_equal(bins_of(lists), [0, 72])
