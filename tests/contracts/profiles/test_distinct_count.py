from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.distinct_count import EXACT, count_distinct
from tidemill.contracts.profiles.distinct_sketch import hash_bits, sketch_of


def sketched(values: object) -> bytes:
    return sketch_of(hash_bits(np.asarray(values, dtype=np.float64).view(np.uint64)))


# A million different values and more: their hashes collide, as they should.
MANY = [1_000, 20_000, 1_000_000]


@given(st.lists(st.integers(-40, 40), max_size=200))
def test_few_values_are_counted_exactly(values: list[int]) -> None:
    few = values[: EXACT * 3]
    if len(set(few)) <= EXACT:
        assert count_distinct(sketched(few)) == len(set(few))


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize(
    "step", [1.0, 7.0, 0.01, 1000.0, 2.0**20, 1 / 8], ids=lambda step: f"every {step:g}"
)
def test_many_values_are_estimated(count: int, step: float) -> None:
    """Numbers in an even row are those that a weak hash doesn't scatter."""
    estimates = [
        count_distinct(sketched((np.arange(count) + at * count) * step)) for at in range(8)
    ]
    errors = np.array(estimates) / count - 1
    assert np.abs(errors).max() < 4 * 0.046
    assert abs(errors.mean()) < 4 * 0.046 / np.sqrt(8)


def test_the_error_is_what_is_told() -> None:
    draw = np.random.default_rng(1)
    errors = [count_distinct(sketched(draw.normal(size=5_000))) / 5_000 - 1 for _ in range(100)]
    assert np.std(errors) == pytest.approx(0.046, rel=0.25)
