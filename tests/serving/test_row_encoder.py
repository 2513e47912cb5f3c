"""Rows are encoded with the same bits as a frame of them in training and in batches."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tidemill as tm
from tests.support.thoroughness import examples
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.models.encoding import encoding_kind
from tidemill.models.predictors import model_input
from tidemill.serving.errors import BrokenRows
from tidemill.serving.row_encoder import RowEncoder
from tidemill.serving.rows import RequestRows
from tidemill.workflow.model import ColumnEncoding

_moments = st.datetimes(datetime(1900, 1, 1), datetime(2199, 1, 1))
CASES: list[tuple[Column, st.SearchStrategy[Any]]] = [
    (tm.Int64(), st.integers(-(2**63), 2**63 - 1)),
    (tm.UInt64(), st.integers(0, 2**64 - 1)),
    (tm.Int128(), st.integers(-(2**127), 2**127 - 1)),
    (tm.Float64(), st.floats()),
    (tm.Float32(), st.floats(width=32)),
    (tm.Bool(), st.booleans()),
    (tm.Decimal(20, 4), st.decimals(-(10**15), 10**15, places=4)),
    (tm.Decimal(38, 0), st.integers(-(10**37), 10**37).map(Decimal)),
    (tm.Enum(["JFK", "größe", ""]), st.sampled_from(["JFK", "größe", ""])),
    (tm.String(), st.sampled_from(["JFK", "größe", "", "unseen", "jfk"])),
    (tm.Categorical(), st.sampled_from(["JFK", "unseen"])),
    (tm.Date(), st.dates(date(1, 1, 1))),
    (tm.Datetime("ms"), _moments.map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000))),
    (tm.Datetime("us"), _moments),
    (tm.Datetime("ns"), _moments),
    (tm.Datetime("us", "America/New_York"), _moments.map(lambda at: at.replace(tzinfo=UTC))),
    (tm.Time(), st.times()),
    (tm.Duration("us"), st.timedeltas(timedelta(-10**6), timedelta(10**6))),
]  # fmt: skip


def encoding_of(column: Column) -> ColumnEncoding:
    kind = encoding_kind(column)
    known = ("JFK", "größe", "") if kind == "category" else ()
    return ColumnEncoding(name=column.name, kind=kind, categories=known)


def rows_and_frame(
    columns: list[Column], values: list[list[Any]]
) -> tuple[RequestRows, pl.DataFrame]:
    frame = pl.DataFrame(
        [
            pl.Series(column.name, given, dtype=polars_type(column.dtype))
            for column, given in zip(columns, values, strict=True)
        ]
    )
    return RequestRows(len(values[0]), tuple(values)), frame


@given(st.data())
@settings(max_examples=examples(150, 1000), deadline=None)
def test_rows_have_the_bits_of_a_frame(data: st.DataObject) -> None:
    picked = data.draw(st.lists(st.sampled_from(CASES), min_size=1, max_size=4))
    count = data.draw(st.integers(1, 3))
    columns, values = [], []
    for at, (column, strategy) in enumerate(picked):
        nullable = data.draw(st.booleans())
        columns.append(replace(column, name=f"c{at}", nullable=nullable))
        one = st.none() | strategy if nullable else strategy
        values.append(data.draw(st.lists(one, min_size=count, max_size=count)))
    rows, frame = rows_and_frame(columns, values)
    encodings = [encoding_of(column) for column in columns]
    wanted = model_input(frame, frame.columns, encodings=encodings)
    encoder = RowEncoder(columns, encodings)
    assert encoder.matrix(rows).tobytes() == wanted.tobytes()
    assert np.array([encoder.row(rows)]).tobytes() == wanted[:1].tobytes()


@given(st.data())
@settings(max_examples=examples(50), deadline=None)
def test_numbers_without_encodings_have_the_bits_of_a_frame(data: st.DataObject) -> None:
    picked = data.draw(st.lists(st.sampled_from(CASES[:8]), min_size=1, max_size=3))
    columns = [
        replace(column, name=f"c{at}", nullable=True) for at, (column, _) in enumerate(picked)
    ]
    values = [data.draw(st.lists(st.none() | s, min_size=2, max_size=2)) for _, s in picked]
    rows, frame = rows_and_frame(columns, values)
    wanted = model_input(frame, frame.columns)
    assert RowEncoder(columns).matrix(rows).tobytes() == wanted.tobytes()


def test_an_array_is_encoded_as_it_is() -> None:
    column = tm.Float64(nullable=True)
    arrays: tuple[Any, ...] = (np.array([1.5, np.nan]), np.array([1, 2], "i4"))
    rows = RequestRows(2, arrays)
    columns = [replace(column, name="x"), replace(tm.Int64(), name="n")]
    assert RowEncoder(columns).row(rows) == [1.5, 1]
    assert RowEncoder(columns).matrix(rows).tolist()[0] == [1.5, 1.0]


def test_a_category_that_training_did_not_have_is_refused_if_the_encoder_says_so() -> None:
    column = replace(tm.String(nullable=True), name="carrier")
    known = ColumnEncoding(name="carrier", kind="category", categories=("UA",), unseen="fail")
    encoder = RowEncoder([column], [known], title="Flights 1.0.0")
    assert encoder.row(RequestRows(1, (["UA"],))) == [0.0]
    for encode in (encoder.row, encoder.matrix):
        with pytest.raises(BrokenRows, match=r"row 2: carrier.category.*'XX'"):
            encode(RequestRows(3, (["UA", None, "XX"],)))


def test_clocks_count_seconds() -> None:
    column = replace(tm.Time(), name="at")
    known = ColumnEncoding(name="at", kind="time")
    assert RowEncoder([column], [known]).row(RequestRows(1, ([time(1, 0, 0, 500_000)],))) == [
        3600.5
    ]
