"""Gates on how a model predicts, as they are written and read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from tidemill.core.errors import DeclarationError
from tidemill.workflow.model_gates import (
    CostPer1k,
    Golden,
    GoldenRow,
    LatencyLimit,
    ModelGate,
    cost_per_1k,
    golden,
    golden_rows_of,
    latency,
)

ROW = {"name": "calm", "hour": 4, "expect": 1.5}


@pytest.mark.parametrize(
    ("gate", "same", "text"),
    [
        (latency("5ms"), LatencyLimit(p99_ms=5), "latency(p99)"),
        (latency(5, rows=9), LatencyLimit(p99_ms=5, rows=9), "latency(p99, rows=9)"),
        (latency("250us"), LatencyLimit(p99_ms=0.25), "latency(p99)"),
        (latency("2 s"), LatencyLimit(p99_ms=2000), "latency(p99)"),
        (cost_per_1k(0.02), CostPer1k(most=0.02), "cost_per_1k"),
        (cost_per_1k(1, rows=100), CostPer1k(most=1, rows=100), "cost_per_1k(rows=100)"),
        (golden("golden.csv"), Golden(file="golden.csv"), "golden(golden.csv)"),
        (
            golden([ROW], tolerance=0.5),
            Golden(rows=(GoldenRow(name="calm", values=(("hour", 4),), expect=1.5),), tolerance=0.5),
            "golden",
        ),
    ],
)  # fmt: skip
def test_gates(gate: ModelGate, same: ModelGate, text: str) -> None:
    assert gate == same
    assert str(gate) == text


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: latency(math.nan), r"p99=nan is not a time"),
        (lambda: latency(math.inf), r"p99=inf is not a time"),
        (lambda: latency(0), r"p99=0 is not a time"),
        (lambda: latency(True), r"p99=True is not a time"),
        (lambda: latency("5"), r"p99='5' is not a time such as '5ms'"),
        (lambda: latency("0ms"), r"p99='0ms' is not"),
        (lambda: latency("9" * 400 + "s"), r"is not a time"),
        (lambda: latency("5ms", rows=0), r"rows=0 is not a number of rows from 1 to 100,000"),
        (lambda: latency("5ms", rows=1.0), r"rows=1.0 is not"),  # type: ignore[arg-type]
        (lambda: cost_per_1k(math.nan), r"most=nan is not an amount of money"),
        (lambda: cost_per_1k(math.inf), r"most=inf is not an amount of money"),
        (lambda: cost_per_1k(-1, rows=True), r"most=-1 is not an amount of money"),
        (lambda: golden("golden.xlsx"), r"'golden.xlsx' is not a file of .csv, .json, .parquet"),
        (lambda: golden("a\n.csv"), r"'a\\n.csv' is not a file of"),
        (lambda: golden([ROW], tolerance=math.nan), r"tolerance=nan is not a number"),
        (lambda: golden([ROW], tolerance=math.inf), r"tolerance=inf is not a number"),
        (lambda: golden([]), r"there are no rows: name at least one"),
        (lambda: golden(7), r"rows=7 is not a list of dicts"),  # type: ignore[arg-type]
        (lambda: golden([ROW, ROW]), r"two rows are called 'calm'"),
    ],
)
def test_nothing_is_declared_that_could_refuse_no_model(
    make: Callable[[], ModelGate], says: str
) -> None:
    with pytest.raises(DeclarationError, match=says):
        make()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (3, "row 0: 3 is not a dict"),
        ({"hour": 4, "expect": 1}, "row 0 has no name: 'name' is None"),
        ({"name": " ", "hour": 4, "expect": 1}, "row 0 has no name: 'name' is ' '"),
        ({"name": "calm", "expect": 1}, "row 'calm' has no columns"),
        ({"name": "calm", 3: 4, "expect": 1}, "row 'calm': 3 is not the name of a column"),
        ({**ROW, "expect": None}, "expect=None is not a number, a range (low, high) or a class"),
        ({"name": "calm", "hour": 4}, "expect=None is not a number"),
        ({**ROW, "expect": math.nan}, "expect=nan is not a number"),
        ({**ROW, "expect": math.inf}, "expect=inf is not a number"),
        ({**ROW, "expect": 10**400}, "is not a number, a range"),
        ({**ROW, "expect": (1, 10**400)}, "is not a range of two numbers (low, high)"),
        ({**ROW, "expect": b"x"}, "expect=b'x' is not a number"),
        ({**ROW, "expect": (1, math.nan)}, "is not a range of two numbers (low, high)"),
        ({**ROW, "expect": (1, math.inf)}, "is not a range of two numbers (low, high)"),
        ({**ROW, "expect": [1]}, "is not a range of two numbers (low, high)"),
        ({**ROW, "expect": (2, 1)}, "expect=(2, 1) is empty, because low is above high"),
    ],
)
def test_rows_that_would_accept_any_prediction_are_refused(row: Any, says: str) -> None:
    rows, faults = golden_rows_of([row])
    assert rows == ()
    assert says in faults[0]


def test_columns_may_be_beside_the_name_or_apart() -> None:
    [beside], _ = golden_rows_of([{"name": "a", "x": 1, "y": None, "expect": [0, 2]}])
    [apart], _ = golden_rows_of([{"name": "a", "input": {"y": None, "x": 1}, "expect": (0, 2)}])
    assert beside == apart
    assert apart.expected == "0 to 2"
    # A model may read a column of that name.
    [own], _ = golden_rows_of([{"name": "a", "input": 3, "expect": "late"}])
    assert (own.values, own.expected) == ((("input", 3),), "'late'")


def test_many_faults_are_counted() -> None:
    _, faults = golden_rows_of([{"name": ""}] * 7)
    assert len(faults) == 6
    assert faults[-1] == "2 more rows have faults"
