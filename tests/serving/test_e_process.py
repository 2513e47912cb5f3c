"""E-processes: expectation at most 1 under the null, by exact enumeration; growth under alternatives."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.e_process import ALTERNATIVES, EProcesses, expected_evidence, log_ratios


def binomial(n: int, p: float) -> list[float]:
    return [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.floats(0, 1), st.floats(1, 5))
def test_a_batch_is_expected_to_give_at_most_1(
    ours: int, theirs: int, rate: float, part: float, factor: float
) -> None:
    """For every size of batch and every rate of the candidate up to `factor` times the control's."""
    own = min(1.0, rate * factor) * part
    share = ours / (ours + theirs)
    p, r = binomial(ours, own), binomial(theirs, rate)
    expected = [
        p[x] * r[y] * np.exp(log_ratios(x, y, share, factor))
        for x, y in product(range(ours + 1), range(theirs + 1))
    ]
    assert (np.sum(expected, axis=0) <= 1 + 1e-9).all()


@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda cells: sum(cells) > 0),
    st.floats(1, 4),
)
def test_pairs_of_answers_to_one_request_are_expected_to_give_at_most_1(
    cells: list[float], factor: float
) -> None:
    """However the answers of both versions depend on each other."""
    both, ours, theirs, none = (cell / sum(cells) for cell in cells)
    if both + ours > factor * (both + theirs):
        return
    cases = {(1, 1): both, (1, 0): ours, (0, 1): theirs, (0, 0): none}
    expected = [p * np.exp(log_ratios(x, y, 0.5, factor)) for (x, y), p in cases.items()]
    assert (np.sum(expected, axis=0) <= 1 + 1e-9).all()


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_the_mixture_is_a_martingale_if_its_batches_are(steps: list[int]) -> None:
    """With a fair coin of 1 / 2 and 3 / 2 for each batch, the mean of both outcomes is the value before."""
    process = EProcesses.start(1)
    for step in steps:
        outcomes = [process.add(np.log(np.full((1, ALTERNATIVES.size), x))) for x in (0.5, 1.5)]
        mean = sum(float(each.values[0]) for each in outcomes) / 2
        assert mean == pytest.approx(float(process.values[0]))
        process = outcomes[step % 2]
    assert float(process.values[0]) >= 0.25


def test_it_begins_with_1_and_events_without_a_difference_are_no_evidence() -> None:
    process = EProcesses.start(2, 3)
    assert process.values.tolist() == [[1.0] * 3] * 2
    for _ in range(100):
        process = process.add(log_ratios(np.full((2, 3), 2), 18, 0.1, 1.0))
    assert (process.values < 0.3).all()


def test_a_worsening_is_found_also_after_a_long_healthy_time() -> None:
    process = EProcesses.start(1)
    for _ in range(1000):
        process = process.add(log_ratios([1], 9, 0.1, 1.0))
    batches = 0
    while float(process.values[0]) < 80 and batches < 100:
        process, batches = process.add(log_ratios([5], 9, 0.1, 1.0)), batches + 1
    assert batches < 15


def test_nothing_overflows() -> None:
    process = EProcesses.start(1)
    for _ in range(5):
        process = process.add(log_ratios([10**6], 0, 0.05, 1.0))
    assert np.isfinite(process.values).all()
    process = process.add(log_ratios([0], 10**9, 0.05, 1.0))
    assert (process.values >= 0.25).all()


def test_the_alternative_that_fits_grows_fastest() -> None:
    # Of 10 % of the requests come 10 / 28 of the events: five times as many as of the others.
    logs = log_ratios(10, 18, 0.1, 1.0)
    assert ALTERNATIVES[logs.argmax()] == 5.0
    assert float(logs.max()) == pytest.approx(expected_evidence(10, 18, 0.1))


@pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (1, 9), (0, 5)])
def test_events_at_the_share_give_no_evidence(ours: float, theirs: float) -> None:
    assert expected_evidence(ours, theirs, 0.1) == 0.0


def test_events_of_the_candidate_alone() -> None:
    assert expected_evidence(3, 0, 0.05) == pytest.approx(3 * np.log(20))
