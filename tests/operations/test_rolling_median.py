"""Medians of the last values."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from tidemill.operations.rolling_median import RollingMedian


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=60), st.integers(1, 20))
def test_it_is_the_median_of_the_last_values(values: list[float], most: int) -> None:
    rolling = RollingMedian(most=most)
    for count, value in enumerate(values, 1):
        rolling.add(value)
        last = values[max(0, count - most) : count]
        assert len(rolling) == len(last)
        assert repr(rolling.median()) == repr(median(last)) or rolling.median() == median(last)
