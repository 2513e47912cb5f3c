"""Try a loaded model before it serves: compare its golden rows with training, and measure its calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import cycle
from typing import Any

import numpy as np
import polars as pl

from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.golden_rows import (
    compare_predictions,
    golden_difference,
    split_predictions,
)
from tidemill.models.predictors import model_input
from tidemill.serving.call_cost import INLINE_S, CallCost, fit_cost
from tidemill.serving.io.runner import USER_ERRORS, Runner
from tidemill.workflow.model import Artifact

_MANY = 64
# Of golden rows that are predicted alone, and of calls that are measured.
_CHECK_S = 0.1
_MEASURE_S = 0.5
# The least CPU time of calls that are measured together, and how often they are.
_BLOCK_S = 1e-3
_BLOCKS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenInputs:
    """Golden rows as a model reads them, and what the model in memory predicted in training."""

    rows: Any
    predictions: Any


def golden_inputs(runner: Runner, artifact: Artifact, golden: bytes) -> GoldenInputs | None:
    """Read a file of golden rows for a runner; None if it is empty, for an artifact without."""
    if not golden:
        return None
    rows, predictions = split_predictions(pl.read_parquet(BytesIO(golden)))
    given = model_input(rows, artifact.inputs, encodings=artifact.encodings, feed=runner.feed)
    return GoldenInputs(rows=given, predictions=predictions)


def warm_up(runner: Runner, artifact: Artifact, golden: bytes) -> float:
    """Predict the golden rows of a model, and set the runner's `cost`.

    `golden` is their file; empty for an artifact without. Returns the largest absolute difference of the
    predictions from those of the model in memory. StorageError if they differ by more than an export may.
    Without golden rows, only the cost is measured, if a row can be made up.
    """
    if not golden:
        if runner.feed == "matrix":
            _measure_unknown_row(runner, len(artifact.inputs))
        return 0.0
    stored = pl.read_parquet(BytesIO(golden))
    artifact = replace(artifact, feed=runner.feed)
    try:
        fault, difference = golden_difference(runner.predict, artifact, stored)
        rows = model_input(
            split_predictions(stored)[0],
            artifact.inputs,
            encodings=artifact.encodings,
            feed=artifact.feed,
        )
        if not fault and runner.feed == "matrix":
            fault, alone = _compare_single_rows(runner, rows)
            difference = max(difference, alone)
    except USER_ERRORS as error:
        raise StorageError(
            f"predicting its golden rows failed: {type(error).__name__}: {error}"
        ) from error
    if fault:
        raise StorageError(fault)
    runner.cost = measure_cost(runner, rows)
    return difference


def measure_cost(runner: Runner, rows: Any) -> CallCost:
    """Measure calls with one row, and calls with many rows, in seconds of CPU time.

    A call that waits, for a device or for another process, counts with the time that it takes.
    """
    table = rows[[at % len(rows) for at in range(_MANY)]]
    # Not the same row again and again, which the processor would learn.
    singles = cycle(table.tolist() if runner.feed == "matrix" else table.iter_slices(1))
    predict: Callable[[Any], Any] = (
        runner.predict_row if runner.feed == "matrix" else runner.predict
    )
    return fit_cost(
        _seconds(lambda: predict(next(singles))), _seconds(partial(runner.predict, table)), _MANY
    )


def _measure_unknown_row(runner: Runner, inputs: int) -> None:
    try:
        runner.cost = measure_cost(runner, np.zeros((1, inputs)))
    # A model may refuse zeros; then its cost stays unknown.
    except USER_ERRORS:
        return


def _compare_single_rows(runner: Runner, rows: Any) -> tuple[str, float]:
    """Compare rows that are predicted alone with those together; as many as a tenth of a second allows."""
    alone, end = [], time.thread_time() + _CHECK_S
    for row in rows:
        alone.append(runner.predict_row(row.tolist()))
        if time.thread_time() > end:
            break
    together = runner.predict(rows[: len(alone)])
    compared = compare_predictions(together, np.array(alone))
    if (at := compared.row) is None:
        return "", compared.largest
    return (
        f"it predicts {alone[at]} for a row alone, and {together[at]} for it among others: {rows[at]}",
        compared.largest,
    )


def _seconds(call: Callable[[], object]) -> float:
    """The least time that a call takes: other work on the machine only adds to it."""
    end = time.monotonic() + _MEASURE_S
    times, (cpu_s, wall_s) = 1, _block(call, 1)
    while cpu_s * times < _BLOCK_S and wall_s * times < _BLOCK_S:
        times *= 4
        cpu_s, wall_s = _block(call, times)
    for _ in range(_BLOCKS):
        if time.monotonic() > end:
            break
        found = _block(call, times)
        cpu_s, wall_s = min(cpu_s, found[0]), min(wall_s, found[1])
    return wall_s if wall_s - cpu_s > INLINE_S else cpu_s


def _block(call: Callable[[], object], times: int) -> tuple[float, float]:
    """The seconds of CPU and of time of a call, as the mean of several."""
    cpu, wall = time.thread_time(), time.monotonic()
    for _ in range(times):
        call()
    return (time.thread_time() - cpu) / times, (time.monotonic() - wall) / times
