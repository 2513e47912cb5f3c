"""Sketches merge to what the whole would have given, and tell how many values there are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.distinct_count import EXACT, REGISTERS, count_distinct
from tidemill.contracts.profiles.distinct_sketch import hash_bits, merge_sketches, sketch_of


def sketched(values: object) -> bytes:
    return sketch_of(hash_bits(np.asarray(values, dtype=np.float64).view(np.uint64)))


@given(st.lists(st.lists(st.integers(0, 500), max_size=300), max_size=4))
def test_merged_is_the_sketch_of_the_whole(parts: list[list[int]]) -> None:
    whole = sketched([value for part in parts for value in part])
    assert merge_sketches([sketched(part) for part in parts if part]) == whole


def test_many_values_may_share_few_registers() -> None:
    assert len(sketch_of(np.arange(2 * EXACT, dtype=np.uint32))) == 1 + REGISTERS


def test_of_nothing_there_is_no_sketch() -> None:
    assert sketched([]) == merge_sketches([]) == b""
    assert count_distinct(b"") == 0
