"""What follows from the cost of a call: where a model is called, and whether in batches."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.call_cost import (
    MAX_BATCH_ROWS,
    UNKNOWN_COST,
    CallCost,
    fit_cost,
    gains_from_batches,
    rows_at_once,
    runs_inline,
)


@pytest.mark.parametrize(
    ("call_us", "row_us", "inline", "batches"),
    [
        (2.3, 1.9, True, False),  # LightGBM's function for one row
        (5.8, 0.8, True, False),  # ONNX Runtime: a batch costs more than it saves
        (90.0, 60.0, True, False),  # a large forest, whose rows cost as much as its calls
        (19.3, 6.6, True, True),  # LightGBM through its package
        (145.0, 1.0, True, True),  # XGBoost in place
        (658.0, 1.2, True, True),  # scikit-learn's gradient boosting
        (999.0, 999.0, True, False),
        (1_000.0, 999.0, False, False),
        (20_000.0, 10.0, False, True),
    ],
)
def test_a_call_is_inline_while_it_is_short_and_batched_if_that_saves_time(
    call_us: float, row_us: float, inline: bool, batches: bool
) -> None:
    cost = CallCost(call_s=call_us / 1e6, row_s=row_us / 1e6)
    assert runs_inline(cost) is inline
    assert gains_from_batches(cost) is batches


def test_a_model_that_was_not_measured_gets_a_thread_and_batches() -> None:
    assert not runs_inline(UNKNOWN_COST)
    assert gains_from_batches(UNKNOWN_COST)


@given(st.floats(1e-7, 10), st.floats(0, 0.1), st.integers(2, 1000))
def test_the_cost_of_a_row_is_what_many_rows_take_more(
    call_s: float, row_s: float, rows: int
) -> None:
    found = fit_cost(call_s, call_s + (rows - 1) * row_s, rows)
    assert found.call_s == call_s
    assert math.isclose(found.row_s, row_s, rel_tol=1e-6, abs_tol=1e-6)


def test_many_rows_that_take_no_longer_than_one_cost_nothing() -> None:
    assert fit_cost(2e-3, 1e-3, 64) == CallCost(call_s=2e-3, row_s=0.0)


@pytest.mark.parametrize(
    ("call_us", "row_us", "rows"),
    [
        (500.0, 1.0, 501),
        (2.3, 1.9, 526),
        (900.0, 900.0, 1),
        (999.0, 0.0, MAX_BATCH_ROWS),
        (2.3, 1e-6, MAX_BATCH_ROWS),
        (math.inf, 1.0, 1),
    ],
)
def test_rows_at_once_take_about_a_millisecond(call_us: float, row_us: float, rows: int) -> None:
    assert rows_at_once(CallCost(call_s=call_us / 1e6, row_s=row_us / 1e6)) == rows
