from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.drawing.scale import (
    finite,
    nice_step,
    number_label,
    number_scale,
    percent_label,
)

ANY = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ([0.1, 0.37], ["0.1", "0.2", "0.3"]),
        ([0, 99_999], ["0", "20,000", "40,000", "60,000", "80,000"]),
        ([-5, 1_234_567], ["0", "0.5M", "1.0M"]),
        ([0, 5e9], ["0", "1G", "2G", "3G", "4G", "5G"]),
        # Offsets keep the digits that tell the ticks apart.
        ([99.9, 100.1], ["99.90", "99.95", "100.00", "100.05", "100.10"]),
        ([1e9, 1e9 + 3], ["1,000,000,000", "1,000,000,001", "1,000,000,002", "1,000,000,003"]),
        ([1e-12, 3e-12], ["1.0e-12", "1.5e-12", "2.0e-12", "2.5e-12", "3.0e-12"]),
        # All equal, none, and not finite.
        ([3, 3], ["2", "3", "4"]),
        ([0, 0], ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        ([], ["-1.0", "-0.5", "0", "0.5", "1.0"]),
        ([math.nan, math.inf, None, 2, 9], ["2", "4", "6", "8"]),
    ],
)
def test_ticks_are_at_round_numbers(values: list[float | None], labels: list[str]) -> None:
    assert [tick.label for tick in number_scale(values).ticks] == labels


@given(st.lists(ANY, max_size=8), st.integers(4, 8), st.booleans(), st.sampled_from([0.0, 0.04]))
def test_a_scale_reaches_all_values_and_tells_its_ticks_apart(
    values: list[float], count: int, zero: bool, padding: float
) -> None:
    scale = number_scale(values, count=count, zero=zero, padding=padding).between(10, 110)
    known = finite(values)
    assert all(scale.low <= value <= scale.high for value in known)
    assert not zero or scale.low <= 0 <= scale.high
    numbers = [tick.value for tick in scale.ticks]
    assert 2 <= len(numbers) <= count + 1
    assert numbers == sorted(set(numbers))
    assert len({tick.label for tick in scale.ticks}) == len(numbers)
    slack = (scale.high - scale.low) * 1e-6
    assert scale.low - slack <= numbers[0]
    assert numbers[-1] <= scale.high + slack
    steps = [after - before for before, after in pairwise(numbers)]
    assert max(steps) - min(steps) <= slack
    assert all(10 <= scale.at(value) <= 110 for value in known)


def test_a_fixed_end_is_not_padded() -> None:
    scale = number_scale([0.2, 0.5], low=0, high=1, padding=0.1)
    assert (scale.low, scale.high) == (0, 1)
    assert number_scale([0.0, 10.0], zero=True, padding=0.1).low == 0
    assert number_scale([2.0, 12.0], padding=0.1).low == 1


def test_only_zeros_with_zero() -> None:
    scale = number_scale([0.0], zero=True)
    assert (scale.low, scale.high) == (0, 1)


def test_values_outside_are_placed_at_the_end() -> None:
    scale = number_scale([0, 1]).between(100, 0)
    assert (scale.at(-3), scale.at(0.5), scale.at(9)) == (100, 50, 0)


@given(st.floats(1e-280, 1e280))
def test_a_nice_step_is_at_most_two_and_a_half_times_as_long(rough: float) -> None:
    step = nice_step(rough)
    assert rough * (1 - 1e-9) <= step <= rough * 2.5 * (1 + 1e-9)
    assert f"{step:e}"[0] in "125"


@pytest.mark.parametrize(
    ("value", "step", "label"), [(0.5, 0.1, "50%"), (0.125, 0.005, "12.5%"), (12, 4, "1,200%")]
)
def test_percent(value: float, step: float, label: str) -> None:
    assert percent_label(value, step) == label


@pytest.mark.parametrize(
    ("value", "step", "label"),
    [(0, 1e-9, "0"), (2e20, 1e20, "2e20"), (-1_500_000, 500_000, "-1.5M"), (1_200, 200, "1,200")],
)
def test_numbers(value: float, step: float, label: str) -> None:
    assert number_label(value, step) == label
