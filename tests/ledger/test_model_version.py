"""Versions of models as people see them."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.model_version import MetricComparison
from tidemill.workflow.gate import Interval


def test_a_difference_whose_interval_has_zero_could_be_noise() -> None:
    found = MetricComparison(
        stage="s", slice="", rows=1, metric="mae", one=2.0, other=1.0, gain=1.0
    )
    interval = Interval(value=1.0, low=-0.5, high=2.5, confidence=0.95, days=20)
    assert found.could_be_noise is None
    assert replace(found, interval=interval).could_be_noise is True
    assert replace(found, interval=replace(interval, low=0.5)).could_be_noise is False
