"""What follows from the cost of a call: where a model is called, and whether in batches."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.call_cost import (
    INLINE_BATCH_S,
    MAX_BATCH_ROWS,
    MAX_INLINE_BATCH_ROWS,
    UNKNOWN_COST,
    BatchCost,
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


@given(
    st.floats(1e-5, 1e-2),
    st.floats(0, 1e-3),
    st.lists(st.integers(1, 300), min_size=1, max_size=50),
)
def test_a_batch_on_the_loop_is_short(call_s: float, row_s: float, sizes: list[int]) -> None:
    cost = BatchCost()
    assert cost.rows == 0
    for size in [1, 9, *sizes]:
        cost.note(size, call_s + row_s * size)
        assert cost.rows <= MAX_INLINE_BATCH_ROWS
    if call_s + row_s > 1.001 * INLINE_BATCH_S:
        assert cost.rows == 0
    assert cost.rows == 0 or call_s + row_s * cost.rows <= 1.001 * INLINE_BATCH_S
    # Twice the rows would be too many, or more than were tried.
    if call_s + row_s < 0.999 * INLINE_BATCH_S:
        twice = 2 * cost.rows
        assert call_s + row_s * twice > INLINE_BATCH_S or twice > min(36, MAX_INLINE_BATCH_ROWS)


def test_batches_of_one_size_are_allowed_as_far_as_each_row_may_cost_the_same() -> None:
    cost = BatchCost()
    for _ in range(3):
        cost.note(10, INLINE_BATCH_S / 2)
    assert cost.rows == 20


def test_one_slow_batch_is_not_the_rule_but_several_are() -> None:
    cost = BatchCost()
    for _ in range(50):
        cost.note(1, 1e-4)
    cost.note(1, 1e-2)
    assert cost.rows > 0
    for _ in range(20):
        cost.note(1, 1e-2)
    assert cost.rows == 0
