"""Rules over several columns are evaluated on rows whose columns pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.row_rules import RowRules
from tidemill.serving.rows import RequestRows

COLUMNS = {"x": tm.Int64(), "y": tm.Float64(nullable=True), "z": tm.String()}


def rules(*expressions: Any, on_fail: Any = "quarantine") -> RowRules:
    named = {f"r{at}": tm.rule(e, on_fail=on_fail) for at, e in enumerate(expressions)}
    return RowRules(declare({**COLUMNS, **named}), tuple(COLUMNS))


@pytest.mark.parametrize(
    ("y", "accepted"), [([3.0], True), ([1.0], False), ([None], True), (np.array([3.0]), True)]
)
def test_a_row_passes_all_rules_and_null_passes(y: Any, accepted: bool) -> None:
    found = rules(pl.col("y") > pl.col("x"), pl.col("z") != "no")
    assert found
    assert found.accept(RequestRows(1, ([2], y, ["a"]))) is accepted


def test_a_rule_that_only_warns_refuses_nothing() -> None:
    assert not rules(pl.col("x") > 5, on_fail="warn")


def test_a_rule_that_cant_be_evaluated_is_not_passed() -> None:
    found = rules(pl.col("z").str.to_integer() > 1)
    assert not found.accept(RequestRows(1, ([2], [1.0], ["a"])))


def test_a_rule_over_all_columns_reads_all() -> None:
    found = rules(pl.all().is_not_null())
    assert found.accept(RequestRows(1, ([2], [1.0], ["a"])))
    assert not found.accept(RequestRows(1, ([2], [None], ["a"])))
