from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.elapsed_scale import duration_label, elapsed_scale


@pytest.mark.parametrize(
    ("seconds", "label"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (12, "12 s"),
        (60, "1 min"),
        (245, "4 min 5 s"),
        (7_200, "2 h"),
        (7_260, "2 h 1 min"),
        (7_201, "2 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, label: str) -> None:
    assert duration_label(seconds) == label


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (1, ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1 s"]),
        (100, ["0 s", "30 s", "1 min", "1 min 30 s"]),
        (3_600, ["0 s", "10 min", "20 min", "30 min", "40 min", "50 min", "1 h"]),
        (86_400, ["0 s", "6 h", "12 h", "18 h", "1 d"]),
        (864_000, ["0 s", "2 d", "4 d", "6 d", "8 d", "10 d"]),
    ],
)
def test_ticks_are_at_round_durations(seconds: float, labels: list[str]) -> None:
    found = [tick.label for tick in elapsed_scale(seconds).ticks]
    assert found in (labels, labels[::1]) or found[: len(labels)] == labels


@given(st.floats(0, 1e9))
def test_ticks_are_within_the_scale_and_not_many(seconds: float) -> None:
    scale = elapsed_scale(seconds)
    assert scale.low == 0 < scale.high
    assert all(0 <= tick.value <= scale.high + 1e-9 for tick in scale.ticks)
    assert 1 <= len(scale.ticks) <= 8
