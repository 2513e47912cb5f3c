"""The words for how long it is until something is due."""

from __future__ import annotations

import pytest

from tidemill.operations.duty import describe_wait


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5.0, "now"),
        (0.0, "now"),
        (1.4, "in 1 s"),
        (59.0, "in 59 s"),
        (60.0, "in 1 min"),
        (3_599.0, "in 60 min"),
        (7_300.0, "in 2 h"),
        (200_000.0, "in 2 d"),
    ],
)
def test_a_wait_is_described_in_its_largest_unit(seconds: float, words: str) -> None:
    assert describe_wait(seconds) == words
