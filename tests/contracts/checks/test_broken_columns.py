"""Each cell without a value breaks the rule that says why."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

import tidemill as tm
from tidemill.contracts.checks.broken_columns import (
    broken_bounds,
    broken_missing,
    broken_partition,
)
from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.row_rules import ColumnRules, column_rules
from tidemill.contracts.column import Column
from tidemill.contracts.text_format import NOT_UNICODE, SURPLUS_FIELDS, Cells

CELLS = ["1", None, "x", f"{SURPLUS_FIELDS}1", f"{NOT_UNICODE}1", "\ufdd01"]


def rules_of(column: Column, cells: Cells = "csv") -> ColumnRules:
    declared: type[tm.Contract] = type("C", (tm.Contract,), {"a": column})
    spec = declared.__tidemill_contract__
    (own,) = spec.columns
    own = replace(own, text=replace(own.text, cells=cells))
    return column_rules(replace(spec, columns=(own,)))[0]


@pytest.mark.parametrize(
    ("column", "cells", "broken"),
    [
        (
            tm.Int64(),
            "csv",
            {"a.fields": [3], "a.unicode": [4], "a.type": [2, 5], "a.null": [1]},
        ),
        (
            tm.String(),
            "json",
            {"a.fields": [3], "a.unicode": [4], "a.type": [5], "a.null": [1]},
        ),
        (tm.Int64(nullable=True), "", {"a.type": [2, 3, 4, 5]}),
        (tm.String(nullable=True), "", {}),
    ],
)
def test_each_cell_without_a_value_breaks_one_rule(
    column: Column, cells: Cells, broken: dict[str, list[int]]
) -> None:
    rules = rules_of(column, cells)
    source, values = cast_column(pl.Series("a", CELLS), rules.dtype, rules.text)
    found = broken_missing(rules, source, values)
    assert {item.rule.id: item.rows.arg_true().to_list() for item in found} == broken


@pytest.mark.parametrize("cells", [[f"{SURPLUS_FIELDS}1"], [f"{NOT_UNICODE}1"]])
def test_cells_that_are_all_damaged_break_no_rule_of_types(cells: list[str]) -> None:
    rules = rules_of(tm.Float64())
    source, values = cast_column(pl.Series("a", cells), rules.dtype, rules.text)
    assert len([*broken_missing(rules, source, values)]) == 1


def test_values_without_a_cast_are_only_searched_for_missing_ones() -> None:
    values = pl.Series("a", [1.0, None, float("nan")])
    found = broken_missing(rules_of(tm.Float64()), values, values)
    assert [(item.rule.id, item.rows.arg_true().to_list()) for item in found] == [
        ("a.null", [1]),
        ("a.nan", [2]),
    ]


def test_typed_columns_of_other_files_hold_no_damaged_cells() -> None:
    source, values = cast_column(pl.Series("a", [1.5]), pl.Int64())
    (found,) = broken_missing(rules_of(tm.Int64()), source, values)
    assert found.rule.id == "a.type"


def test_the_least_and_the_greatest_value_decide_the_bounds() -> None:
    rules = rules_of(tm.Int64(min=1, max=3))
    for values, broken in (([1, 3], []), ([0, 4], ["a.min", "a.max"]), ([None], [])):
        found = broken_bounds(rules, pl.Series(values, dtype=pl.Int64))
        assert [query.rule.id for query in found] == broken
    assert [*broken_bounds(rules_of(tm.Int64()), pl.Series([0]))] == []


def test_rows_of_another_partition_break_its_rule() -> None:
    declared: type[tm.Contract] = type("C", (tm.Contract,), {"a": tm.String(partition="value")})
    spec = declared.__tidemill_contract__
    rules = column_rules(spec)[0]
    values = pl.Series("a", ["x", "y", None])
    (found,) = broken_partition(rules, values, spec.partitioning, "x")
    assert (found.rule.id, found.rows.to_list()) == ("a.partition", [False, True, False])
    assert [*broken_partition(rules, values[:1], spec.partitioning, "x")] == []
