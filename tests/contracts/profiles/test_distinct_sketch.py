"""Sketches merge to what the whole would have given, and tell how many values there are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.distinct_count import EXACT, REGISTERS, distinct
from tidemill.contracts.profiles.distinct_sketch import hashed, merge_sketches, sketch_of

# A million different values and more: their hashes collide, as they should.
MANY = [1_000, 20_000, 1_000_000]


def sketched(values: object) -> bytes:
    return sketch_of(hashed(np.asarray(values, dtype=np.float64).view(np.uint64)))


@given(st.lists(st.integers(-40, 40), max_size=200))
def test_few_values_are_counted_exactly(values: list[int]) -> None:
    few = values[: EXACT * 3]
    if len(set(few)) <= EXACT:
        assert distinct(sketched(few)) == len(set(few))


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize(
    "step", [1.0, 7.0, 0.01, 1000.0, 2.0**20, 1 / 8], ids=lambda step: f"every {step:g}"
)
def test_many_values_are_estimated(count: int, step: float) -> None:
    """Numbers in an even row are those that a weak hash doesn't scatter."""
    estimates = [distinct(sketched((np.arange(count) + at * count) * step)) for at in range(8)]
    errors = np.array(estimates) / count - 1
    assert np.abs(errors).max() < 4 * 0.046
    assert abs(errors.mean()) < 4 * 0.046 / np.sqrt(8)


def test_the_error_is_what_is_told() -> None:
    draw = np.random.default_rng(1)
    errors = [distinct(sketched(draw.normal(size=5_000))) / 5_000 - 1 for _ in range(100)]
    assert np.std(errors) == pytest.approx(0.046, rel=0.25)


@given(st.lists(st.lists(st.integers(0, 500), max_size=300), max_size=4))
def test_merged_is_the_sketch_of_the_whole(parts: list[list[int]]) -> None:
    whole = sketched([value for part in parts for value in part])
    assert merge_sketches([sketched(part) for part in parts if part]) == whole


def test_many_values_may_share_few_registers() -> None:
    assert len(sketch_of(np.arange(2 * EXACT, dtype=np.uint32))) == 1 + REGISTERS


def test_of_nothing_there_is_no_sketch() -> None:
    assert sketched([]) == merge_sketches([]) == b""
    assert distinct(b"") == 0
