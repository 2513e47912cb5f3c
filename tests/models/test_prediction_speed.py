"""What predicting takes, measured so that a busy machine fails no model."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.models.prediction_speed import (
    BUDGET_S,
    CALLS,
    LEAST_CALLS,
    REPEATS,
    CpuPrice,
    PredictionSpeed,
    calls_of,
    judge_cost,
    judge_latency,
    measure_calls,
)
from tidemill.workflow.gate import GateOutcome

datasets = pytest.importorskip("sklearn.datasets")

PASSED, FAILED, UNKNOWN = GateOutcome


class Machine:
    """A clock, and a model whose calls take what they are given, and more when the machine is busy."""

    def __init__(self, busy: Iterable[bool] = ()) -> None:
        self.now = 0.0
        self.busy = iter(busy)
        self.calls = 0

    def predict(self, given: Any) -> None:
        self.calls += 1
        self.now += float(given) + (10.0 if next(self.busy, False) else 0.0)

    def clock(self) -> float:
        return self.now


def test_interruptions_dont_count() -> None:
    busy = iter([n % 3 == 0 for n in range(100_000)])
    machine = Machine(busy)
    inputs = [0.001] * 199 + [0.005]
    speed = measure_calls(machine.predict, inputs, 1, machine.clock, machine.clock)
    # The first calls were interrupted, so that fewer are measured.
    assert len(speed.calls) == LEAST_CALLS
    assert speed.calls == pytest.approx([0.001] * LEAST_CALLS)
    assert speed.p99 == pytest.approx(0.001)


def test_what_a_row_takes_counts_even_if_it_is_one_of_a_hundred() -> None:
    machine = Machine()
    inputs = [0.001] * 190 + [0.005] * 10
    speed = measure_calls(machine.predict, inputs, 1, machine.clock, machine.clock)
    assert (len(speed.calls), machine.calls) == (CALLS, CALLS * REPEATS + 3)
    assert speed.p99 == pytest.approx(0.005)
    assert speed.cpu_s == pytest.approx(0.0012)


def test_a_slow_model_is_called_less() -> None:
    machine = Machine()
    speed = measure_calls(machine.predict, [1.0] * 200, 10, machine.clock, machine.clock)
    assert len(speed.calls) == LEAST_CALLS
    assert machine.now < 10 * BUDGET_S
    assert speed.cpu_s == pytest.approx(0.1)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_calls_have_as_many_rows_as_they_should(rows: int) -> None:
    given = np.arange(10.0).reshape(5, 2)
    calls = calls_of(given, rows)
    assert len(calls) == LEAST_CALLS
    assert {call.shape for call in calls} == {(rows, 2)}
    assert np.concatenate(calls)[:6, 0].tolist() == [0, 2, 4, 6, 8, 0]
    frame = pl.DataFrame({"x": [1, 2, 3]})
    assert {call.shape for call in calls_of(frame, rows)} == {(rows, 1)}
    assert len(calls_of(np.zeros((1000, 2)), 1)) == CALLS


def speed_of(*calls: float, cpu_s: float = 0.001, rows: int = 1) -> PredictionSpeed:
    return PredictionSpeed(calls=calls, cpu_s=cpu_s, rows=rows)


def test_latency() -> None:
    for unknown in ((), (math.nan, 0.0), (math.inf, 0.0)):
        assert not judge_latency(tm.latency(5), speed_of(*unknown)).passed
    gate = tm.latency("5ms")
    fine = judge_latency(gate, speed_of(*[0.001] * 99, 0.9))
    assert fine.passed
    assert fine.evidence == "p99 1 ms, at most 5 ms (100 calls of 1 row, fastest of 5)"
    slow = judge_latency(gate, speed_of(*[0.001] * 98, 0.006, 0.9))
    assert (slow.outcome, slow.evidence[:19]) == (FAILED, "p99 6 ms, at most 5")


def test_cost() -> None:
    gate, price = tm.cost_per_1k(0.02), CpuPrice(hour=36.0, currency="EUR")
    fine = judge_cost(gate, speed_of(1.0, cpu_s=0.001), price)
    assert fine.passed
    assert fine.evidence == (
        "0.01 EUR for 1,000 predictions, at most 0.02 (1 s of CPU at 36 an hour)"
    )
    assert judge_cost(gate, speed_of(1.0, cpu_s=0.003), price).outcome is FAILED
    for hour in (0.0, math.nan, math.inf, -1.0):
        found = judge_cost(gate, speed_of(1.0), CpuPrice(hour=hour))
        assert found.outcome is UNKNOWN
        assert found.evidence.startswith("no price is set ([tool.tidemill] cpu_hour)")


seconds = st.floats(allow_nan=True, allow_infinity=True)


@given(calls=st.lists(seconds, max_size=5), cpu_s=seconds, hour=seconds)
@example(calls=[], cpu_s=-1e-195, hour=2e-313)
def test_nothing_passes_without_figures(calls: list[float], cpu_s: float, hour: float) -> None:
    speed = speed_of(*calls, cpu_s=cpu_s)
    if judge_latency(tm.latency(5), speed).passed:
        assert calls
        assert all(each <= 0.005 for each in calls)
    if judge_cost(tm.cost_per_1k(0.02), speed, CpuPrice(hour=hour)).passed:
        assert 0 <= cpu_s < math.inf
        assert 0 < hour < math.inf


def test_a_real_model_has_a_speed() -> None:
    x, y = datasets.load_iris(return_X_y=True)
    options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    booster = lgb.train(options, lgb.Dataset(x, y), 5)
    ticks = iter(range(10**9))
    speed = measure_calls(
        booster.predict, calls_of(x, 2), 2, lambda: next(ticks) * 1e-6, lambda: next(ticks) * 1e-6
    )
    assert len(speed.calls) == 150
    assert speed.p99 == pytest.approx(1e-6)
