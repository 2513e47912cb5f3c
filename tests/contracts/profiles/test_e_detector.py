"""E-values have an expectation of at most 1 within the tolerance; their sums find what is beyond it."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.profiles.e_detector import (
    EFFECTS,
    Detector,
    Floats,
    Shares,
    Sides,
    share_evidence,
)

SHARES = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1))
TOLERANCES = st.one_of(st.just(0.03), st.floats(1e-6, 0.5))


def of(count: Any, rows: int, reference: float) -> Shares:
    return Shares(count=count, rows=rows, reference=reference)


def probabilities(rows: int, share: float) -> Floats:
    """The probability of each count of `rows` rows."""
    return np.array(
        [math.comb(rows, k) * share**k * (1 - share) ** (rows - k) for k in range(rows + 1)]
    )


@given(st.integers(0, 40), SHARES, TOLERANCES, st.floats(-1, 1), st.integers(1, 10**6))
def test_within_the_tolerance_the_expectation_is_at_most_1(
    rows: int, reference: float, tolerance: float, side: float, reference_rows: int
) -> None:
    share = min(max(reference + side * tolerance, 0.0), 1.0)
    shares = Shares(
        count=np.arange(rows + 1), rows=rows, reference=reference, reference_rows=reference_rows
    )
    evidence = share_evidence(shares, tolerance=tolerance)
    # A series without evidence stays as it is, as if its e-value were at most 1.
    expectation = probabilities(rows, share) @ np.exp(np.nan_to_num(evidence))
    assert expectation.shape == (2 * len(EFFECTS),)
    assert (expectation <= 1 + 1e-9).all()


@given(
    st.integers(0, 40), SHARES, TOLERANCES, st.floats(-1, 1), st.floats(0, 1), st.integers(0, 90)
)
def test_the_expectation_is_at_most_1_for_partitions_that_differ_too(
    rows: int, reference: float, tolerance: float, side: float, between: float, partitions: int
) -> None:
    share = min(max(reference + side * tolerance, 0.0), 1.0)
    shares = of(np.arange(rows + 1), rows, reference).tempered(between, partitions)
    evidence = share_evidence(shares, tolerance=tolerance)
    expectation = probabilities(rows, share) @ np.exp(np.nan_to_num(evidence))
    assert (expectation <= 1 + 1e-9).all()


def test_partitions_that_differ_count_for_fewer_rows() -> None:
    whole = Shares(
        count=60_000, rows=100_000, reference=0.5, reference_rows=3_000_000, uncertain=500
    )
    assert whole.tempered(0, 30) == whole
    tempered = whole.tempered(0.05**2, 30)
    assert tempered.rows == pytest.approx(200)
    assert tempered.count == pytest.approx(0.6 * 200)
    assert tempered.uncertain == pytest.approx(0.005 * 200)
    # The mean of 30 partitions is as uncertain as that of some 3,000 rows.
    assert tempered.reference_rows == pytest.approx(30 * 0.25 / 0.05**2, rel=0.01)
    few = Shares(count=60, rows=100, reference=0.5, reference_rows=3_000)
    assert few.tempered(0.05**2, 30).rows == 100


@pytest.mark.parametrize("edge", [0.23, 0.17])
def test_at_the_edge_of_the_tolerance_the_expectation_of_its_side_is_1(edge: float) -> None:
    evidence = share_evidence(of(np.arange(31), 30, 0.2), tolerance=0.03)
    expectation = probabilities(30, edge) @ np.exp(evidence)
    own = expectation[:4] if edge > 0.2 else expectation[4:]
    assert own == pytest.approx(1)


@given(st.integers(0, 30), SHARES, TOLERANCES, st.floats(-1, 1), st.integers(0, 30))
def test_rows_that_are_uncertain_are_no_evidence(
    rows: int, reference: float, tolerance: float, side: float, hidden: int
) -> None:
    share = min(max(reference + side * tolerance, 0.0), 1.0)
    counts = np.arange(rows + 1)
    # Up to `hidden` of the rows with the property weren't counted.
    seen = np.maximum(counts - hidden, 0)
    evidence = share_evidence(
        Shares(count=seen, rows=rows, reference=reference, uncertain=counts - seen),
        tolerance=tolerance,
    )
    assert (probabilities(rows, share) @ np.exp(np.nan_to_num(evidence)) <= 1 + 1e-9).all()


@given(SHARES, TOLERANCES)
def test_no_rows_are_no_evidence(reference: float, tolerance: float) -> None:
    evidence = share_evidence(of(0, 0, reference), tolerance=tolerance)
    assert np.isnan(evidence).all()
    detector = Detector.even(365, evidence.size)
    assert not list(detector.alarms([evidence] * 1000))


@given(st.integers(0, 10**9), st.integers(0, 10**9), SHARES, TOLERANCES)
def test_any_counts_give_a_number(one: int, other: int, reference: float, tolerance: float) -> None:
    evidence = share_evidence(of(min(one, other), max(one, other), reference), tolerance=tolerance)
    # A share that can't be beyond its tolerance is no evidence.
    assert not np.isnan(evidence).all() or not max(one, other) or tolerance >= 0.5
    detector = Detector.even(365, evidence.size)
    assert np.isfinite(detector.add(detector.start(), evidence)).all()


def test_a_share_that_cannot_rise_further_is_no_evidence() -> None:
    evidence = share_evidence(of(1000, 1000, 0.99), tolerance=0.03)
    assert np.isnan(evidence[:4]).all()
    assert (evidence[4:] < 0).all()


@pytest.mark.parametrize(("sides", "found"), [("rise", False), ("both", True)])
def test_a_share_that_fell_is_evidence_on_that_side_only(sides: Sides, found: bool) -> None:
    evidence = share_evidence(of(100, 1000, 0.3), tolerance=0.03, sides=sides)
    assert (evidence > 5).any() == found


def test_a_short_reference_widens_the_tolerance() -> None:
    long, short = (
        share_evidence(
            Shares(count=600, rows=1000, reference=0.5, reference_rows=rows), tolerance=0.03
        )
        for rows in (10**6, 100)
    )
    assert long.max() > short.max() + 1


@given(st.lists(st.lists(st.floats(-20, 20), min_size=2, max_size=2), max_size=12))
def test_the_sum_is_that_of_the_products_that_start_at_each_partition(
    evidence: list[list[float]],
) -> None:
    detector = Detector(run_length=1e30, weights=np.array([0.25, 0.75]))
    sums = detector.start()
    for found in evidence:
        sums = detector.add(sums, np.array(found))
    for series in range(2):
        capped = [
            min(math.exp(found[series]), math.sqrt(1e30 / float(detector.weights[series])))
            for found in evidence
        ]
        assert sums[series] == pytest.approx(
            math.fsum(math.prod(capped[start:]) for start in range(len(capped)))
        )


@given(st.integers(1, 200), st.sampled_from([12.0, 52.0, 365.0]))
def test_one_partition_of_one_series_is_no_alarm(series: int, run_length: float) -> None:
    detector = Detector.even(run_length, series)
    evidence = np.zeros(series)
    evidence[0] = math.inf
    sums = detector.add(detector.start(), evidence)
    assert detector.level(sums) < 1
    assert detector.level(detector.add(sums, evidence)) >= 1


@pytest.mark.parametrize("series", [1, 20])
def test_at_the_edge_of_the_tolerance_false_alarms_are_a_run_length_apart(series: int) -> None:
    random = np.random.default_rng(7)
    run_length, rows, partitions = 50.0, 300, 20_000
    detector = Detector.even(run_length, series * 8)
    counts = random.binomial(rows, 0.33, (partitions, series))
    evidence = share_evidence(of(counts, rows, 0.3), tolerance=0.03).reshape(partitions, -1)
    alarms = list(detector.alarms(evidence))
    # Some alarms, or this test would see nothing.
    assert alarms
    assert partitions / len(alarms) >= run_length
    assert all(later > earlier for earlier, later in pairwise(alarms))


def test_sums_start_again_after_an_alarm() -> None:
    detector = Detector.even(365, 1)
    strong = [np.array([math.inf])] * 4
    assert list(detector.alarms(strong)) == [1, 3]


@pytest.mark.parametrize(
    ("rows", "share", "partitions"),
    [
        (100_000, 0.6, 2),
        (1_000, 0.6, 2),
        (100, 0.6, 8),
        (1_000, 0.52, None),
    ],
)
def test_the_delay_depends_on_rows_and_shift(
    rows: int, share: float, partitions: int | None
) -> None:
    evidence = share_evidence(of(rows * share, rows, 0.5), tolerance=0.03)
    assert Detector.even(365, evidence.size).delay(evidence) == partitions
