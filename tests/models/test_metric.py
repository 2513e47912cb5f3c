"""Metrics and thresholds as data."""

from __future__ import annotations

from tidemill.models.metric import Threshold


def test_a_threshold_is_a_number() -> None:
    chosen = Threshold(value=0.25, days=("2026-01-01",), metric="f1", score=0.5)
    assert float(chosen) == 0.25
