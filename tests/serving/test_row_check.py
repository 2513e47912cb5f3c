"""The checker of a contract decides about the rows of a request."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.errors import BrokenRows
from tidemill.serving.row_check import RowCheck


def check(columns: dict[str, Any], rows: dict[str, list[Any]], **options: Any) -> Any:
    frame = pl.DataFrame(rows)
    spec = declare(columns)
    names = tuple(name for name in spec.names if name in rows)
    options = {"partial": False, "shown": 20, **options}
    return RowCheck(spec, names, "json").check(frame, lambda row, name: frame[row, name], **options)


def test_rows_keep_their_order_and_their_number() -> None:
    columns = {"id": tm.Int64(max=5, unique=True)}
    found = check(columns, {"id": ["5", "9", "5", "1"]}, partial=True)
    assert found.rows.columns == ([5, 5, 1],)
    assert found.rejected.kept == (0, 2, 3)


def test_a_value_that_cant_be_read_is_refused_where_the_contract_only_warns() -> None:
    columns = {"x": tm.Int64(max=5, on_fail="warn", null_values=["NA"]), "y": tm.Bool()}
    rows: dict[str, list[Any]] = {"x": ["9", "x", "NA", " ", None], "y": ["1"] * 5}
    found = check(columns, rows, partial=True)
    assert found.rows.columns[0] == [9, None, None, None]
    assert [(item.row, item.rule) for item in found.rejected.findings] == [(1, "x.type")]


def test_a_rule_that_cant_be_evaluated_says_no_place_in_source_files() -> None:
    rule = tm.rule(pl.col("x").str.to_integer() > 1)
    with pytest.raises(BrokenRows) as caught:
        check({"x": tm.String(), "r": rule}, {"x": ["2", "y"]})
    assert "can't be evaluated" in caught.value.message
    assert ".py" not in caught.value.message


def test_a_rule_over_all_columns_shows_all() -> None:
    rule = tm.rule(pl.all() > 0)
    with pytest.raises(BrokenRows) as caught:
        check({"x": tm.Int64(), "y": tm.Int64(), "r": rule}, {"x": [1], "y": [0]})
    assert caught.value.findings[0].value == {"x": 1, "y": 0}
