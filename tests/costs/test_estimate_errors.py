"""How far estimates were off."""

from __future__ import annotations

import pytest

from tidemill.costs.estimate_errors import LAST_RUNS, EstimateErrors, estimate_errors


def test_errors_are_parts_of_what_runs_cost() -> None:
    found = estimate_errors([(1.0, 2.0), (3.0, 2.0), (2.0, 2.0), (1.0, 0.0), (4.4, 4.0)])
    assert found.runs == 4
    assert found.median_error == pytest.approx(0.3)
    assert found.bias == pytest.approx(0.05)


def test_the_last_runs_count() -> None:
    pairs = [(9.0, 1.0)] * 5 + [(1.0, 1.0)] * LAST_RUNS
    assert estimate_errors(pairs) == EstimateErrors(runs=LAST_RUNS, median_error=0.0, bias=0.0)


def test_without_runs_nothing_is_known() -> None:
    assert estimate_errors([]) == EstimateErrors()
