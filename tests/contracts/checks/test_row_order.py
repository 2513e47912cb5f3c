"""Which rules may say otherwise of the same rows in another order."""

from __future__ import annotations

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.row_order import may_depend_on_order
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec, Rule

V = pl.col("value")


def contract(*expressions: pl.Expr) -> ContractSpec:
    names = {"day": tm.Date(), "id": tm.Int64(), "value": tm.Float64()}
    columns = tuple(
        Column(dtype=column.dtype, name=name, nullable=True) for name, column in names.items()
    )
    rules = tuple(Rule(expr=each, name=f"r{index}") for index, each in enumerate(expressions))
    return ContractSpec(name="C", version="1.0.0", columns=columns, rules=rules)


@pytest.mark.parametrize(
    "expression",
    [
        V > 0,
        pl.col("id") < V,
        V.mean() < V,
        V.sum().over("day") < 3,
        V.is_duplicated(),
        pl.len() < 4,
        pl.all().is_not_null(),
        V.is_in([1.0, 2.0]),
        pl.when(V > 0).then(V < 3).otherwise(statement=True),
    ],
)
def test_rules_that_see_the_same_in_any_order(expression: pl.Expr) -> None:
    assert not may_depend_on_order(contract(expression))


@pytest.mark.parametrize(
    "expression",
    [
        V.diff().fill_null(1) > 0,
        V.first() <= V,
        pl.int_range(pl.len()) < V,
        V.shift() > 0,
        V.cum_sum() < 9,
        V.is_first_distinct(),
        V.first().over("day") > 0,
        V.rank("ordinal") > 1,
        V.forward_fill() > 0,
    ],
)
def test_rules_that_do_not(expression: pl.Expr) -> None:
    assert may_depend_on_order(contract(V > 0, expression))


def test_what_cannot_be_read_may(monkeypatch: pytest.MonkeyPatch) -> None:
    assert may_depend_on_order(contract(pl.col("no such column") > 0))
    monkeypatch.setattr("tidemill.analysis.query.serialized.SUPPORTED", ())
    assert may_depend_on_order(contract(V > 0))
