"""Kinds of outputs: every output is in exactly one, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.output_bins import OutputBins
from tidemill.serving.rollout_counts import Output

ANY = st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=3), st.none())


@given(st.lists(ANY, min_size=1, max_size=40), st.lists(ANY, max_size=40))
def test_every_output_is_counted_once(known: list[Output], seen: list[Output]) -> None:
    bins = OutputBins.of(known)
    counts = bins.counts(seen)
    assert counts.size == bins.size
    assert counts.sum() == len(seen)


def test_numbers_are_divided_into_tenths() -> None:
    known = [float(number) for number in range(1000)]
    bins = OutputBins.of(known)
    assert bins.counts(known).tolist() == [100.0] * 10 + [0.0]
    assert bins.counts([-1e9, 1e9, float("inf")]).tolist() == [1.0, *[0.0] * 8, 2.0, 0.0]


def test_what_is_no_number_is_a_kind_of_its_own() -> None:
    bins = OutputBins.of([1.0, 2.0])
    assert bins.counts([float("nan"), "late", None])[-1] == 3.0


def test_equal_outputs_are_a_kind_of_their_own() -> None:
    rng = np.random.default_rng(0)
    known = [*[0.0] * 800, *(float(x) for x in rng.uniform(1, 2, 200))]
    bins = OutputBins.of(known)
    counts = bins.counts(known)
    assert 800.0 in counts.tolist()
    # Values on either side of them are told apart.
    sides = [bins.counts([x]).argmax() for x in (-0.5, 0.0, 0.5)]
    assert len(set(sides)) == 3


def test_classes_are_kinds() -> None:
    bins = OutputBins.of(["late"] * 3 + ["on time"] * 5)
    assert bins.labels == ("on time", "late")
    assert bins.counts(["late", "late", "cancelled"]).tolist() == [0.0, 2.0, 1.0]


def test_true_isnt_one() -> None:
    bins = OutputBins.of([True, False, 1])
    assert bins.counts([True, 1]).sum() == 2
    assert sorted(bins.counts([True, True, 1]).tolist()) == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize("known", [[float("nan")], [float("inf"), float("nan")]])
def test_a_reference_without_finite_numbers(known: list[Output]) -> None:
    assert OutputBins.of(known).counts([1.0]).tolist()[-1] == 1.0
