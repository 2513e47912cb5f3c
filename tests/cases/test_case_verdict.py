"""What a case expects against what there is."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.cases.case_verdict import CaseOutcome, CaseVerdict, describe_differences, judge_case
from tidemill.cases.stage_case import Expectation, GivenTable, Range, RowDifference, StageCase


class Daily(tm.Contract, key=("id",)):
    id = tm.Int64()
    total = tm.Float32()


SPEC = Daily.__tidemill_contract__
ROWS = pl.DataFrame(
    {"id": [1, 2], "total": [0.5, 1.5]}, schema={"id": pl.Int64, "total": pl.Float32}
)
BAD = pl.DataFrame(
    {"id": [-1, 3], "total": ["x", "0.1"], "_reasons": [["id.min"], ["key", "total.type"]]}
)


def table(*rows: dict[str, Any]) -> GivenTable:
    return GivenTable(rows=rows)


def judge(outcome: CaseOutcome, spec: Any = SPEC, **expect: Any) -> CaseVerdict:
    case = StageCase(name="n", stage="daily", expect=Expectation(**expect))
    return judge_case(case, outcome, spec)


def test_rows_as_expected() -> None:
    outcome = CaseOutcome(rows=ROWS)
    assert (
        judge(outcome, rows=table({"id": 2, "total": 1.5}, {"id": 1, "total": 0.5}))
        == CaseVerdict()
    )
    assert judge(outcome, rows=table({"total": 1.5}, {"total": 0.5}), count=2) == CaseVerdict()
    assert judge(outcome, includes=table({"id": 2})) == CaseVerdict()
    assert judge(
        outcome, rows=table({"id": 1, "total": 0.6}, {"id": 2, "total": 1.5}), tolerance=0.2
    ) == (CaseVerdict())


def test_other_rows() -> None:
    verdict = judge(CaseOutcome(rows=ROWS), rows=table({"id": 1, "total": 9}, {"id": 3}))
    assert verdict.problems == ("rows differ: 1 missing, 1 unexpected, 1 changed",)
    assert len(verdict.differences) == 3
    verdict = judge(CaseOutcome(rows=ROWS), includes=table({"id": 3}), count=1)
    assert verdict.problems == ("expected 1 row, there are 2", "rows differ: 1 missing")


def test_expected_cells_that_are_no_values() -> None:
    verdict = judge(CaseOutcome(rows=ROWS), rows=table({"id": "x"}))
    assert verdict.problems == ("expect.rows: row 1: id = 'x' is no Int64",)
    verdict = judge(CaseOutcome(rows=ROWS.drop("total")), rows=table({"total": 1}))
    assert verdict.problems == ("expect.rows: the output has no column 'total'",)


def test_a_table_without_a_contract() -> None:
    outcome = CaseOutcome(rows=ROWS)
    assert judge(outcome, None, rows=table({"id": 2}, {"id": 1})) == CaseVerdict()
    assert judge(outcome, None, rows=GivenTable(frame=ROWS)) == CaseVerdict()
    assert judge(outcome, None, rows=table({"id": 2})).problems


@pytest.mark.parametrize(
    ("error", "expected", "problem"),
    [
        ("it broke", "broke", None),
        ("it broke", "burnt", "expected an error with 'burnt', but it was: it broke"),
        ("it broke", None, "it broke"),
        ("", "broke", "it didn't fail; expected an error with 'broke'"),
    ],
)
def test_errors(error: str, expected: str | None, problem: str | None) -> None:
    rows = None if error else ROWS
    verdict = judge(CaseOutcome(rows=rows, error=error), error=expected)
    assert verdict.problems == (() if problem is None else (problem,))


def test_a_case_that_can_not_be_used_never_passes() -> None:
    outcome = CaseOutcome(unusable="given.a: row 1", error="given")
    assert judge(outcome, error="given").problems == ("given.a: row 1",)


def test_quarantined_rows_must_be_expected() -> None:
    outcome = CaseOutcome(rows=ROWS, rejected={"orders": BAD})
    assert judge(outcome, count=2).problems == (
        "2 rows of orders were quarantined: id.min (1), key (1), total.type (1); the first is id = -1, "
        "total = x",
    )
    assert judge(outcome, quarantined={"orders": 2}) == CaseVerdict()
    assert judge(outcome, quarantined={"orders": 1}).problems == (
        "expected 1 quarantined row of orders, there are 2",
    )
    [problem] = judge(CaseOutcome(rows=ROWS, rejected={"orders": BAD.head(1)}), count=2).problems
    assert problem.startswith("1 row of orders was quarantined")


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": -1}, {"id": 3}],
        [{"id": 3}, {"id": -1}],
        [{"total": "x"}, {}],
        [{"_reasons": "total.type key"}, {"id": -1, "_reasons": ["id.min"]}],
    ],
)
def test_quarantined_rows_are_found(rows: list[dict[str, Any]]) -> None:
    outcome = CaseOutcome(rows=ROWS, rejected={"orders": BAD})
    assert judge(outcome, quarantined={"orders": table(*rows)}) == CaseVerdict()
    if "_reasons" not in rows[0] and all(len(row) == 1 for row in rows):
        frame = pl.DataFrame(rows)
        assert judge(outcome, quarantined={"orders": GivenTable(frame=frame)}) == CaseVerdict()


def test_other_quarantined_rows() -> None:
    outcome = CaseOutcome(rows=ROWS, rejected={"orders": BAD})
    wanted = table({"id": -1, "_reasons": ["key"]}, {"id": 3})
    verdict = judge(outcome, quarantined={"orders": wanted})
    assert verdict.problems == ("the quarantined rows of orders are others",)
    assert verdict.differences == (
        RowDifference(kind="not quarantined in orders", row={"_reasons": "key", "id": "-1"}),
        RowDifference(kind="quarantined in orders", row={"_reasons": "id.min", "id": "-1"}),
    )
    verdict = judge(CaseOutcome(rows=ROWS), quarantined={"orders": table({"id": 3})})
    assert verdict.problems == (
        "expected 1 quarantined row of orders, there are 0",
        "the quarantined rows of orders are others",
    )
    verdict = judge(outcome, quarantined={"orders": table({"id": 3})})
    assert verdict.problems == ("expected 1 quarantined row of orders, there are 2",)


def test_scores() -> None:
    outcome = CaseOutcome(scores={"mae": 2.0, "bias": math.nan})
    assert judge(outcome, scores={"mae": Range(max=2)}) == CaseVerdict()
    assert judge(
        outcome, scores={"mae": Range(max=1), "bias": Range(min=0), "auc": Range(min=0)}
    ).problems == (
        "mae is 2; expected at most 1",
        "bias is nan; expected at least 0",
        "there is no metric 'auc'; there are mae, bias",
    )
    assert "there are none" in judge(CaseOutcome(), scores={"auc": Range(min=0)}).problems[0]


def test_predictions() -> None:
    found = pl.Series([0.5, None, 3.0])
    verdict = judge(CaseOutcome(predictions=found), predictions=Range(min=0, max=1))
    assert verdict.problems == ("2 of 3 predictions are not 0 to 1, such as null, 3",)
    assert judge(CaseOutcome(predictions=found[:1]), predictions=Range(min=0)) == CaseVerdict()
    verdict = judge(CaseOutcome(predictions=pl.Series(["a"])), predictions=Range(min=0))
    assert verdict.problems == ("the model predicts classes, which are in no range",)


def test_differences_are_counted() -> None:
    kinds = ["changed", "missing", "changed"]
    assert describe_differences([RowDifference(kind=kind, row={}) for kind in kinds]) == (
        "rows differ: 1 missing, 2 changed"
    )


def test_cells_that_an_expected_row_leaves_out() -> None:
    outcome = CaseOutcome(rows=ROWS)
    assert judge(outcome, rows=table({"id": 1, "total": 0.5}, {"id": 2})) == CaseVerdict()

    class Notes(tm.Contract):
        id = tm.Int64()
        note = tm.String(nullable=True)

    rows = pl.DataFrame({"id": [1, 2], "note": ["a", "b"]})
    verdict = judge(
        CaseOutcome(rows=rows),
        Notes.__tidemill_contract__,
        rows=table({"id": 1, "note": "a"}, {"id": 2}),
    )
    assert verdict.problems == ("rows differ: 1 changed",)
    assert judge(outcome, None, rows=table({"id": 1, "total": 0.5}, {"id": 2})) == CaseVerdict()
