"""Threads of numeric libraries spin for a limited time, unless the environment says how they wait."""

from __future__ import annotations

import pytest

from tidemill.core.spin_limit import spin_limit

OPENMP, OPENBLAS = {"GOMP_SPINCOUNT": "1000"}, {"OPENBLAS_THREAD_TIMEOUT": "20"}


@pytest.mark.parametrize(
    ("environment", "added"),
    [
        ({"OMP_NUM_THREADS": "2"}, OPENMP | OPENBLAS),
        ({"GOMP_SPINCOUNT": "infinity"}, OPENBLAS),
        # It would override the policy.
        ({"OMP_WAIT_POLICY": "passive"}, OPENBLAS),
        ({"OPENBLAS_THREAD_TIMEOUT": "26"}, OPENMP),
    ],
)
def test_only_where_nothing_is_chosen(environment: dict[str, str], added: dict[str, str]) -> None:
    assert spin_limit(environment) == added
