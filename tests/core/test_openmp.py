"""Threads of OpenMP spin for a limited time, unless the environment says how they wait."""

from __future__ import annotations

import pytest

from tidemill.core.openmp import spin_limit


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({"OMP_NUM_THREADS": "2"}, {"GOMP_SPINCOUNT": "1000"}),
        ({"GOMP_SPINCOUNT": "infinity"}, {}),
        # It would override the policy.
        ({"OMP_WAIT_POLICY": "passive"}, {}),
    ],
)
def test_only_where_nothing_is_chosen(environment: dict[str, str], added: dict[str, str]) -> None:
    assert spin_limit(environment) == added
