"""JSON values become the text that an ingest of JSON lines reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.contracts.column import Column
from tidemill.contracts.text_format import NOT_UNICODE
from tidemill.serving.cells import cell_series, default_cells, text_cell
from tidemill.serving.strict_json import Number


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (tm.Float64(), None, None),
        (tm.Float64(), Number("1.50"), "1.50"),
        (tm.Float64(decimal_comma=True), Number("1.5"), "1,5"),
        (tm.String(), "größe", "größe"),
        (tm.String(), "a\ud800", NOT_UNICODE + "a\\ud800"),
        (tm.Bool(), True, "true"),
        (tm.Bool(), False, "false"),
        (tm.Bool(true_values=["yes"], false_values=["no"]), True, "yes"),
        (tm.Bool(true_values=["yes"], false_values=["no"]), False, "no"),
        (tm.List(tm.Int64()), [Number("1"), None], "[1,null]"),
        (tm.Struct({"a": tm.Int64()}), {"a": Number("1.0")}, '{"a":1.0}'),
    ],
)
def test_values_are_text(column: Column, value: Any, text: str | None) -> None:
    assert text_cell(value, column) == text


def test_a_duration_is_a_number_of_seconds() -> None:
    column = replace(tm.Duration(), name="took")
    found = cell_series(column, [Number("1.5"), None])
    assert found.to_list() == [timedelta(seconds=1.5), None]
    assert cell_series(column, [Number("1"), "PT1S"]).dtype == pl.String
    assert cell_series(column, [Number("1e300")]).dtype == pl.String


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (tm.Bool(optional=True, default=True, true_values=["yes"]), "yes"),
        (tm.Float64(optional=True, default=1.5, decimal_comma=True), "1,5"),
        (tm.Date(optional=True, default=date(2013, 3, 7)), "2013-03-07"),
        (tm.Date(optional=True, default=date(2013, 3, 7), format="%d.%m.%Y"), "07.03.2013"),
        (
            tm.Datetime(
                optional=True, default=datetime(2013, 3, 7, 5, 0, 0, 5), format="%d.%m.%Y %H%M%S%.f"
            ),
            "07.03.2013 050000.000005",
        ),
        (tm.String(optional=True, default="x"), "x"),
        (tm.String(optional=True, nullable=True), None),
    ],
)
def test_a_default_is_text_that_reads_as_itself(column: Column, text: str | None) -> None:
    like = pl.Series([""])
    assert default_cells(replace(column, name="x"), like).to_list() == [text]


def test_the_default_of_a_duration_has_its_type() -> None:
    column = replace(tm.Duration(optional=True, default=timedelta(1)), name="took")
    like = cell_series(column, [Number("1")])
    assert default_cells(column, like).to_list() == [timedelta(1)]
