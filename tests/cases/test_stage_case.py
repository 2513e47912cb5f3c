"""Records of cases."""

from __future__ import annotations

import math

import polars as pl
import pytest

from tidemill.cases.stage_case import (
    Expectation,
    GivenTable,
    Range,
    StageCase,
    StageCaseResult,
)


@pytest.mark.parametrize(
    ("table", "height", "columns", "synthetic"),
    [
        (GivenTable(rows=({"a": 1}, {"b": 2})), 2, ("a", "b"), False),
        (GivenTable(frame=pl.DataFrame({"x": [1, 2, 3]})), 3, ("x",), False),
        (GivenTable(count=7), 7, (), True),
        (GivenTable(rows=()), 0, (), False),
    ],
)
def test_a_table_knows_its_size(
    table: GivenTable, height: int, columns: tuple[str, ...], synthetic: bool
) -> None:
    assert (table.height, table.columns, table.is_synthetic) == (height, columns, synthetic)


@pytest.mark.parametrize(
    ("range", "inside", "outside", "text"),
    [
        (Range(min=0), 0.0, -0.1, "at least 0"),
        (Range(max=5), 5.0, 5.1, "at most 5"),
        (Range(min=1, max=2), 1.5, 3.0, "1 to 2"),
    ],
)
def test_a_range_has_its_bounds(range: Range, inside: float, outside: float, text: str) -> None:
    assert inside in range
    assert outside not in range
    assert math.nan not in range
    assert str(range) == text


@pytest.mark.parametrize(
    "expect",
    [
        Expectation(rows=GivenTable(rows=())),
        Expectation(includes=GivenTable(rows=({"a": 1},))),
        Expectation(count=0),
        Expectation(quarantined={"a": 0}),
        Expectation(error="x"),
        Expectation(scores={"mae": Range(max=1)}),
        Expectation(predictions=Range(min=0)),
    ],
)
def test_anything_is_an_expectation(expect: Expectation) -> None:
    assert not expect.is_empty
    assert Expectation(ordered=True).is_empty


def test_a_result_passes_without_problems() -> None:
    case = StageCase(name="a", stage="b", expect=Expectation(count=1))
    assert StageCaseResult(case=case).passed
    assert not StageCaseResult(case=case, problems=("no",)).passed


def test_gaps_are_cells_that_are_not_named() -> None:
    table = GivenTable(rows=({"a": 1}, {"a": None, "b": 1}))
    assert (table.gaps("a"), table.gaps("b")) == ((), (0,))
    assert GivenTable(count=2).gaps("a") == ()
