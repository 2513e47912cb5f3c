"""Requests that are predicted together get what each would have got alone."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import PanicException

from tests.support.runners import BAD, SumRunner
from tidemill.core.errors import TidemillError, UsageError
from tidemill.serving.io.batches import QueuedRequest, cut_batch, predict_requests

numbers = st.sampled_from([0.0, 1.5, 2.0, BAD, math.nan])
rows_of_two = st.lists(numbers, min_size=2, max_size=2)
wrong_rows = st.lists(numbers, max_size=3)
tables = st.lists(rows_of_two, min_size=1, max_size=4).map(np.array)
fates = st.sampled_from(["awaited", "awaited", "awaited", "given up", "late"])


def queued(rows: Any, loop: asyncio.AbstractEventLoop, fate: str = "awaited") -> QueuedRequest:
    future = loop.create_future()
    if fate == "given up":
        future.cancel()
    deadline = time.monotonic() - 1 if fate == "late" else math.inf
    count = 1 if isinstance(rows, list) else len(rows)
    return QueuedRequest(rows, count, deadline, future)


@given(
    st.lists(st.tuples(st.one_of(rows_of_two, wrong_rows, tables), fates), max_size=6),
    st.booleans(),
)
def test_each_request_gets_its_own_predictions_or_its_own_error(
    asked: list[tuple[Any, str]], row_calls: bool
) -> None:
    loop = asyncio.new_event_loop()
    try:
        requests = [queued(rows, loop, fate) for rows, fate in asked]
        for result in predict_requests(SumRunner(), requests, row_calls=row_calls):
            result.deliver()
        for request, (rows, fate) in zip(requests, asked, strict=True):
            table = np.array([rows]) if isinstance(rows, list) else rows
            if fate == "given up":
                assert request.future.cancelled()
                continue
            error = request.future.exception()
            if fate == "late":
                assert isinstance(error, TimeoutError)
            elif table.shape[1] != 2:
                assert isinstance(error, UsageError)
            elif (table == BAD).any():
                assert isinstance(error, ValueError)
            else:
                value, cpu_s = request.future.result()
                expected = table.sum(axis=1)
                alone = expected[0] if isinstance(rows, list) else expected
                assert np.array_equal(value, alone, equal_nan=True)
                assert isinstance(value, float) == isinstance(rows, list)
                assert cpu_s is not None
                assert cpu_s >= 0
    finally:
        loop.close()


@pytest.fixture
def loop() -> Any:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_requests_are_predicted_in_one_call(loop: asyncio.AbstractEventLoop) -> None:
    runner = SumRunner()
    requests = [queued([1.0, 2.0], loop), queued(np.ones((3, 2)), loop), queued([4.0, 4.0], loop)]
    results = predict_requests(runner, requests, row_calls=True)
    assert runner.calls == [5]
    assert [np.asarray(result.value).tolist() for result in results] == [3.0, [2.0] * 3, 8.0]
    # CPU seconds are split by rows.
    one, three, other = (result.cpu_s for result in results)
    assert one == other
    assert three == pytest.approx(3 * one)


def test_a_bad_row_fails_alone(loop: asyncio.AbstractEventLoop) -> None:
    runner = SumRunner()
    requests = [queued([1.0, 2.0], loop), queued([BAD, 0.0], loop), queued([4.0, 4.0], loop)]
    results = predict_requests(runner, requests, row_calls=False)
    assert runner.calls == [3, 1, 1, 1]
    assert [str(result.value) for result in results] == ["3.0", "the row has -1", "8.0"]


@pytest.mark.parametrize("error", [SystemExit(3), PanicException(3)])
def test_a_model_that_exits_or_panics_ends_no_other_request(
    error: BaseException, loop: asyncio.AbstractEventLoop
) -> None:
    runner = SumRunner()
    runner.error = error
    requests = [queued([BAD, 2.0], loop), queued([1.0, 0.0], loop)]
    failed, fine = predict_requests(runner, requests, row_calls=False)
    assert isinstance(failed.value, TidemillError)
    assert str(failed.value) == f"user code ended with {type(error).__name__}: 3"
    assert fine.value == 1.0


def test_frames_are_joined(loop: asyncio.AbstractEventLoop) -> None:
    runner = SumRunner(feed="frame")
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    results = predict_requests(
        runner, [queued(frame, loop), queued(frame.head(1), loop)], row_calls=False
    )
    assert runner.calls == [3]
    assert [result.value.tolist() for result in results] == [[4.0, 6.0], [4.0]]
    # Frames of other types can't be joined.
    odd = frame.select("a", pl.lit(1).alias("b"))
    results = predict_requests(runner, [queued(frame, loop), queued(odd, loop)], row_calls=False)
    assert runner.calls == [3, 2, 2]
    assert [result.value.tolist() for result in results] == [[4.0, 6.0], [2.0, 3.0]]


@pytest.mark.parametrize(
    ("counts", "limit", "taken"),
    [([], 5, 0), ([9], 5, 1), ([2, 3], 5, 2), ([2, 3, 1], 5, 2), ([9, 1], 5, 1), ([1, 9], 5, 1)],
)
def test_a_batch_has_at_most_a_number_of_rows_but_one_request(
    counts: list[int], limit: int, taken: int, loop: asyncio.AbstractEventLoop
) -> None:
    assert cut_batch([queued(np.ones((n, 2)), loop) for n in counts], limit) == taken
