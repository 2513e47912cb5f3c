"""Kinds of outputs: every output is in exactly one, and nearly equal models have nearly equal kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.output_bins import OutputBins
from tidemill.serving.rollout_counts import Output

ANY = st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=3), st.none())
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(st.lists(ANY, min_size=1, max_size=40), st.lists(ANY, max_size=40))
def test_every_output_is_of_one_kind(known: list[Output], seen: list[Output]) -> None:
    bins = OutputBins.of(known)
    counts, wide = bins.counts(seen)
    assert counts.size == wide.size == bins.size
    assert counts.sum() == len(seen)
    assert (counts <= wide).all()


@given(NUMBERS, NUMBERS, st.floats(-0.99, 0.99))
def test_outputs_that_are_moved_within_the_margin_are_of_the_wider_kind(
    known: list[float], seen: list[float], part: float
) -> None:
    bins = OutputBins.of(known)
    # Beside rounding.
    if bins.margin < 1e-6:
        return
    moved = [value + part * bins.margin for value in seen]
    assert (bins.counts(moved)[0] <= bins.counts(seen)[1]).all()
    assert (bins.counts(seen)[0] <= bins.counts(moved)[1]).all()


def test_numbers_are_divided_into_tenths() -> None:
    known = [float(number) for number in range(1000)]
    bins = OutputBins.of(known)
    counts, wide = bins.counts(known)
    assert counts.tolist() == [0.0, *[100.0] * 10, 0.0, 0.0]
    # Wider by 0.1 standard deviations on either side.
    assert set(wide[2:-3]) <= {157.0, 158.0}
    assert bins.counts([-1e9, 1e9, float("inf")])[0].tolist() == [1.0, *[0.0] * 10, 2.0, 0.0]


def test_what_is_no_number_is_a_kind_of_its_own() -> None:
    counts, wide = OutputBins.of([1.0, 2.0]).counts([float("nan"), "late", None, 1.5])
    assert counts[-1] == wide[-1] == 3.0


@pytest.mark.parametrize("known", [[0.0] * 9, [7.5] * 9, [0.0] * 800 + [1.5] * 200])
def test_other_values_than_frequent_ones_are_other_kinds(known: list[float]) -> None:
    bins = OutputBins.of(known)
    for other in (known[0] - 1.0, known[-1] + 1.0):
        one, two = bins.counts([other])[0], bins.counts(known)[1]
        assert (one * two).sum() == 0.0


def test_crowded_probabilities_may_differ_a_little() -> None:
    """Most are near 0, where a tenth is narrower than what a retraining changes."""
    rng = np.random.default_rng(0)
    known = (rng.beta(0.05, 1.0, 2000)).tolist()
    bins = OutputBins.of(known)
    halved = [value / 2 if value < 0.02 else value for value in known]
    one, two = bins.counts(halved)[0], bins.counts(known)[1]
    assert (one <= two).all()


def test_classes_are_kinds() -> None:
    bins = OutputBins.of(["late"] * 3 + ["on time"] * 5)
    assert bins.labels == ("on time", "late")
    counts, wide = bins.counts(["late", "late", "cancelled"])
    assert counts.tolist() == wide.tolist() == [0.0, 2.0, 1.0]


def test_true_isnt_one() -> None:
    bins = OutputBins.of([True, False, 1])
    assert bins.size == 4
    assert sorted(bins.counts([True, True, 1])[0].tolist()) == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("known", [[float("nan")], [float("inf"), float("nan")]])
def test_a_reference_without_finite_numbers(known: list[Output]) -> None:
    assert OutputBins.of(known).counts([1.0])[0].tolist()[-1] == 1.0


def test_tenths_that_are_close_together_are_one_kind() -> None:
    """Or each would have become rare by less than the others' margins hide."""
    low, high = np.linspace(0.001, 0.02, 400).tolist(), np.linspace(0.3, 1.0, 600).tolist()
    bins = OutputBins.of([*low, *high])
    assert bins.counts(low)[0].max() == 400.0
    assert bins.size > 6
