"""A sample of keys is the same everywhere, and about as large as it should be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.logged_requests import LogSample

KEYS = [b"customer-%d" % number for number in range(4000)]


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_share_of_the_keys_is_logged(share: float) -> None:
    sample = LogSample("delays", share)
    found = sum(map(sample.has, KEYS))
    # Five standard deviations.
    assert abs(found - share * len(KEYS)) < 5 * (len(KEYS) * share * (1 - share)) ** 0.5


@given(st.binary(), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_larger_share_has_the_keys_of_a_smaller_one(key: bytes, one: float, two: float) -> None:
    small, large = sorted([one, two])
    assert LogSample("a", large).has(key) or not LogSample("a", small).has(key)
    assert LogSample("a", 1.0).has(key)


def test_the_sample_is_fixed_and_differs_by_endpoint() -> None:
    sample = LogSample("delays", 0.5)
    assert [sample.has(key) for key in KEYS[:8]] == GOLDEN
    other = LogSample("prices", 0.5)
    both = sum(sample.has(key) and other.has(key) for key in KEYS)
    assert 850 < both < 1150


# Processes of another version must choose the same.
GOLDEN = [False, True, False, True, True, True, False, True]
