"""Versions of models as people see them."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.model_version import MetricComparison, TrainingCost
from tidemill.ledger.price import Price
from tidemill.workflow.gate import Interval


def test_a_difference_whose_interval_has_zero_could_be_noise() -> None:
    found = MetricComparison(
        stage="s", slice="", rows=1, metric="mae", one=2.0, other=1.0, gain=1.0
    )
    interval = Interval(value=1.0, low=-0.5, high=2.5, confidence=0.95, days=20)
    assert found.could_be_noise is None
    assert replace(found, interval=interval).could_be_noise is True
    assert replace(found, interval=replace(interval, low=0.5)).could_be_noise is False


def test_a_training_costs_all_that_it_used() -> None:
    cost = TrainingCost(
        attempts=1,
        wall_s=1.0,
        cpu_s=3600.0,
        peak_rss=1,
        rows=1,
        memory_gb_s=3600.0,
        gpu_s=3600.0,
        egress_gb=1.0,
        units={"calls": 2.0},
        spent=0.5,
    )
    price = Price(
        cpu_hour=1.0, memory_gb_hour=2.0, gpu_hour=3.0, egress_gb=4.0, units={"calls": 5.0}
    )
    assert cost.amount(price) == 20.5
    assert cost.amount(Price()) == 0.5
