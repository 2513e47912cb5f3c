"""What checks of a document say about columns, rows and rules."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from tests.support.odcs.documents import AT, INT, TEXT, column, only, read
from tidemill.contracts.odcs import expressions
from tidemill.contracts.table_rules import Rows


def check(**told: Any) -> dict[str, Any]:
    return {"type": "library", **told}


def valid(values: Any, **told: Any) -> dict[str, Any]:
    return check(metric="invalidValues", mustBe=0, arguments={"validValues": values}, **told)


# A check of a column, what the column says, and what stays unsaid.
@pytest.mark.parametrize(
    ("told", "said", "unsaid"),
    [
        (check(metric="nullValues", mustBe=0), {"nullable": False}, []),
        ({"metric": "nullValues", "mustBe": 0, "severity": "error"}, {"nullable": False}, []),
        (
            check(metric="nullValues", mustBeLessThan=1, unit="percent"),
            {},
            ["nullValues mustBeLessThan 1 percent"],
        ),
        (check(metric="nullValues", mustBe=0, unit="percent"), {"nullable": False}, []),
        (check(metric="nullValues", mustBeLessThan=1, unit="rows"), {"nullable": False}, []),
        (check(metric="nullValues", mustBeLessOrEqualTo=0), {"nullable": False}, []),
        # Closed: none is the only count from 0 to 0, and 1 is allowed from 0 to 1.
        (check(metric="nullValues", mustBeBetween=[0, 0]), {"nullable": False}, []),
        (check(metric="nullValues", mustBeBetween=[0, 1]), {}, ["nullValues mustBeBetween [0, 1]"]),
        (check(metric="missingValues", mustBe=0), {"nullable": False}, []),
        (
            check(metric="missingValues", mustBe=0, arguments={"missingValues": [None]}),
            {"nullable": False},
            [],
        ),
        (
            check(metric="missingValues", mustBe=0, arguments={"missingValues": ["N/A"]}),
            {},
            ["missingValues mustBe 0"],
        ),
        (check(metric="duplicateValues", mustBe=0), {"unique": True}, []),
        (check(rule="duplicateCount", mustBe=0), {"unique": True}, []),
        (check(rule="nullCheck", mustBe=0), {"nullable": False}, []),
        (valid(["a", "b"]), {"isin": ("a", "b")}, []),
        (valid(["a", date(2026, 1, 1)]), {"isin": ("a", "2026-01-01")}, []),
        (valid([]), {}, ["invalidValues mustBe 0"]),
        (check(metric="invalidValues", mustBe=0, arguments={"pattern": "^a"}), {"regex": "^a"}, []),
        (
            check(
                metric="invalidValues", mustBe=0, arguments={"pattern": "^a", "validValues": ["a"]}
            ),
            {},
            ["invalidValues mustBe 0"],
        ),
        (
            valid(["a"], severity="warning"),
            {},
            ["invalidValues with another severity, warning"],
        ),
        (valid(["a"], severity="high"), {"isin": ("a",)}, [".severity: high"]),
        (
            valid(["a"], name="known", dimension="conformity"),
            {"isin": ("a",)},
            [".name: known", ".dimension: conformity"],
        ),
        (check(metric="rowCount", mustBe=3), {}, ["rowCount mustBe 3"]),
        (check(metric="freshness", mustBe=0), {}, ["metric freshness"]),
        (check(mustBe=0), {}, ["no metric"]),
        ({"type": "sql", "query": "select 1", "mustBe": 0}, {}, ["type sql"]),
        ({"type": "text", "description": "be good"}, {}, ["type text"]),
        (
            {"type": "custom", "engine": "soda", "implementation": "x"},
            {},
            ["type custom, engine soda"],
        ),
        (
            check(metric="nullValues", mustBe=0, mustBeLessThan=3),
            {},
            ["nullValues mustBe 0 and mustBeLessThan 3"],
        ),
        (check(metric="nullValues", mustBe="none"), {}, ["nullValues mustBe none"]),
        (check(metric="nullValues"), {}, ["nullValues"]),
    ],
)
def test_checks_of_columns(told: dict[str, Any], said: dict[str, Any], unsaid: list[str]) -> None:
    found, unrepresented = column(**TEXT, quality=[told])
    plain = {"nullable": True, "unique": False, "isin": None, "regex": None}
    assert {name: getattr(found, name) for name in plain} == {**plain, **said}
    at = f"{AT}.quality[0]"
    assert sorted(unrepresented) == sorted(
        f"{at}{'' if line[0] == '.' else ': '}{line}" for line in unsaid
    )


def test_checks_that_do_not_fit_their_column() -> None:
    numbers, [wrong] = column(**INT, quality=[valid(["a"])])
    assert numbers.isin is None
    assert wrong == f"{AT}.quality[0]: validValues of a Int64: 'a' is not a number"
    _, [pattern] = column(
        **INT, quality=[check(metric="invalidValues", mustBe=0, arguments={"pattern": "a"})]
    )
    assert pattern == f"{AT}.quality[0]: invalidValues mustBe 0"
    _, [twice] = column(**TEXT, quality=[valid(["a"]), valid(["b"])])
    assert twice == f"{AT}.quality[1]: invalidValues mustBe 0"
    _, [nested] = column(
        logicalType="array", items=INT, quality=[check(metric="duplicateValues", mustBe=0)]
    )
    assert nested == f"{AT}.quality[0]: duplicateValues mustBe 0"


# A check of the number of rows, and what it says: between is closed.
@pytest.mark.parametrize(
    ("told", "rows"),
    [
        ({"mustBeBetween": [10, 20]}, Rows(min=10, max=20, on_fail="fail")),
        ({"mustBeBetween": [9.5, 20.5], "severity": "warning"}, Rows(min=10, max=20)),
        ({"mustBe": 3, "severity": "info"}, Rows(min=3, max=3)),
        ({"mustBeGreaterThan": 10}, Rows(min=11, on_fail="fail")),
        ({"mustBeGreaterOrEqualTo": 10}, Rows(min=10, on_fail="fail")),
        ({"mustBeLessThan": 10}, Rows(max=9, on_fail="fail")),
        ({"mustBeLessOrEqualTo": 10}, Rows(max=10, on_fail="fail")),
        ({"mustNotBe": 0}, Rows(min=1, on_fail="fail")),
        ({"mustNotBe": 5}, None),
        ({"mustBe": 0.5}, None),
        ({"mustNotBeBetween": [1, 2]}, None),
        ({"mustBeBetween": [1, 2], "unit": "percent"}, None),
        ({"mustBeBetween": [20, 10]}, None),
        ({}, None),
    ],
)
def test_the_number_of_rows(told: dict[str, Any], rows: Rows | None) -> None:
    found = read(INT, quality=[check(metric="rowCount", **told)])
    assert only(found).rows == rows
    assert len(found.unrepresented) == (rows is None)


def test_a_second_number_of_rows_is_listed() -> None:
    counts = [check(metric="rowCount", mustBe=n) for n in (1, 2)]
    found = read(INT, quality=counts)
    assert only(found).rows == Rows(min=1, max=1, on_fail="fail")
    assert found.unrepresented == ("schema[0].quality[1]: rowCount mustBe 2",)


def test_other_checks_of_tables_are_listed() -> None:
    some = check(metric="duplicateValues", mustBeLessThan=5, arguments={"properties": ["c0"]})
    sql = {"type": "sql", "query": "x"}
    nulls = check(metric="nullValues", mustBe=0)
    found = read(INT, quality=[check(metric="duplicateValues", mustBe=0), some, sql, nulls])
    assert found.unrepresented == (
        "schema[0].quality[0]: duplicateValues mustBe 0",
        "schema[0].quality[1]: duplicateValues mustBeLessThan 5",
        "schema[0].quality[2]: type sql",
        "schema[0].quality[3]: nullValues mustBe 0",
    )


def own_rule(expr: pl.Expr, **told: Any) -> dict[str, Any]:
    implementation = {"check": "rule", **expressions.serialize(expr)}
    return {
        "type": "custom",
        "engine": "tidemill",
        "name": "r",
        "implementation": implementation,
        **told,
    }


def test_rules_come_back_as_expressions() -> None:
    expr = pl.col("c0").is_in([1, 2, 3])
    found = read(INT, quality=[own_rule(expr, severity="warning", description="few")])
    [rule] = only(found).rules
    assert (rule.name, rule.on_fail, rule.description) == ("r", "warn", "few")
    assert rule.expr.meta.serialize() == expr.meta.serialize()
    assert found.unrepresented == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nonsense", "its expression is not JSON from Polars"),
        ('{"Unheard": 1}', "its expression was written by Polars 9.9, and Polars"),
        # What runs code when it is read never gets there.
        (
            '{"Function": {"input": [], "function": {"AnonymousFunction": {"x": 1}}}}',
            "its expression holds code",
        ),
        ('{"Literal": {"Scalar": {"String": "PLPY"}}}', "its expression holds code"),
        ('{"\\u0041nonymousFunction": {"x": 1}}', "its expression holds code"),
    ],
)
def test_an_expression_that_can_not_be_read_is_listed(text: str, why: str) -> None:
    told = {"check": "rule", "expression": text, "polars": "9.9"}
    quality = [{"name": "r", "type": "custom", "engine": "tidemill", "implementation": told}]
    found = read(INT, quality=quality)
    assert only(found).rules == ()
    [line] = found.unrepresented
    assert line.startswith(f"schema[0].quality[0]: rule r: {why}")


def test_a_second_rule_of_a_name_is_listed() -> None:
    found = read(INT, quality=[own_rule(pl.col("c0") > 0), own_rule(pl.col("c0") > 1)])
    assert len(only(found).rules) == 1
    assert found.unrepresented == ("schema[0].quality[1]: a second rule 'r'",)
