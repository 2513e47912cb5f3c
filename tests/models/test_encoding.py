"""Encoders: each value becomes the same number in training and in every prediction."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.core.errors import UsageError
from tidemill.models import encoding
from tidemill.models.encoding import encode_columns, require_encodable
from tidemill.workflow.model import ColumnEncoding


class Mixed(tm.Contract):
    n = tm.Int64(nullable=True)
    flag = tm.Bool(nullable=True)
    port = tm.Enum(["LGA", "EWR", "JFK"], nullable=True)
    carrier = tm.String(nullable=True)
    tail = tm.Categorical(nullable=True)
    day = tm.Date(nullable=True)
    at = tm.Datetime("ms", nullable=True)
    zoned = tm.Datetime("us", "UTC", nullable=True)
    took = tm.Duration("ns", nullable=True)
    clock = tm.Time(nullable=True)
    price = tm.Decimal(10, 2, nullable=True)


PORTS = ["LGA", "EWR", "JFK"]
NAMES = ("n", "flag", "port", "carrier", "tail", "day", "at", "zoned", "took", "clock", "price")
DAY = datetime(2024, 6, 1, 12, 0, 0, 250_000)
ROWS = pl.DataFrame(
    {
        "n": [3, None],
        "flag": [True, None],
        "port": ["EWR", None],
        "carrier": ["UA", None],
        "tail": ["N1", None],
        "day": [date(1970, 1, 11), None],
        "at": [DAY, None],
        "zoned": [DAY.replace(tzinfo=UTC), None],
        "took": [timedelta(minutes=1), None],
        "clock": [time(1, 0, 0, 500_000), None],
        "price": ["1.25", None],
    },
    schema_overrides={
        "port": pl.Enum(["LGA", "EWR", "JFK"]),
        "tail": pl.Categorical,
        "at": pl.Datetime("ms"),
        "took": pl.Duration("ns"),
    },
).with_columns(pl.col("price").cast(pl.Decimal(10, 2)))


def test_every_type_becomes_a_number_and_null_becomes_nan() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads(*NAMES))
    assert isinstance(encoder, tm.Encoder)
    values = encoder.transform(ROWS.lazy())
    seconds = DAY.replace(tzinfo=UTC).timestamp()
    assert values[0].tolist() == [3, 1, 1, 0, 0, 10, seconds, seconds, 60, 3600.5, 1.25]
    assert np.isnan(values[1]).all()
    assert values.dtype == np.float64
    assert values.flags.c_contiguous
    assert encoder.categorical == [2, 3, 4]


def test_a_column_of_nulls_is_encoded_as_nan() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads(*NAMES))
    nulls = pl.DataFrame({name: [None, None] for name in NAMES})
    assert np.isnan(encoder.transform(nulls)).all()


def test_units_of_times_dont_change_their_numbers() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads("at", "took"))
    finer = ROWS.with_columns(
        pl.col("at").cast(pl.Datetime("ns")), pl.col("took").cast(pl.Duration("ms"))
    )
    assert np.array_equal(encoder.transform(ROWS), encoder.transform(finer), equal_nan=True)


words = st.lists(st.none() | st.text(max_size=3), min_size=1, max_size=12)


@given(trained=words, served=words, seed=st.randoms(use_true_random=False))
def test_categories_keep_their_codes_in_any_rows_and_order(
    trained: list[str | None], served: list[str | None], seed: object
) -> None:
    """The code of a value depends on the set of training values alone, not on rows that come with it."""
    del seed
    table = pl.DataFrame({"carrier": trained}, schema={"carrier": pl.String})
    encoder = tm.encoder(table, inputs=Mixed.reads("carrier"))
    again = tm.encoder(table.reverse(), inputs=Mixed.reads("carrier"))
    assert encoder == again
    known = sorted({word for word in trained if word is not None})
    expected = [float(known.index(w)) if w in known else math.nan for w in served]
    rows = pl.DataFrame({"carrier": served}, schema={"carrier": pl.String})
    assert np.array_equal(encoder.transform(rows)[:, 0], expected, equal_nan=True)
    physical = rows.with_columns(pl.col("carrier").cast(pl.Categorical))
    assert np.array_equal(encoder.transform(physical)[:, 0], expected, equal_nan=True)


def test_an_enum_keeps_the_order_of_training_when_its_contract_grows() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads("port"))
    grown = pl.DataFrame(
        {"port": ["SWF", "LGA", "JFK"]}, schema={"port": pl.Enum(["SWF", "JFK", "LGA"])}
    )
    codes = encoder.transform(grown)[:, 0]
    assert math.isnan(codes[0])
    assert codes[1:].tolist() == [0, 2]


def test_an_unseen_category_is_refused_on_request() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads("n", "carrier"), unseen="fail")
    assert encoder.transform(ROWS).shape == (2, 2)
    strange = pl.DataFrame({"n": [1] * 5, "carrier": ["UA", "ZZ", "B", "C", "D"]})
    with pytest.raises(
        UsageError, match=r"'carrier' has 'B', 'C', 'D' and 1 more, which the training"
    ):
        encoder.transform(strange)
    with pytest.raises(UsageError, match=r"encoder\(unseen='error'\) is not one of missing, fail"):
        tm.encoder(ROWS, inputs=Mixed.reads("n"), unseen="error")  # type: ignore[arg-type]


def test_columns_of_another_kind_are_named() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads("n", "carrier", "day"))
    for column, words in (
        (pl.Series("n", ["1", "2"]), "'n' is String, but it was encoded as a number"),
        (pl.Series("carrier", [1, 2]), "'carrier' is Int64, but it was encoded as a category"),
        (pl.Series("day", [DAY, DAY]), r"'day' is Datetime\(.*\), but it was encoded as a date"),
    ):
        with pytest.raises(UsageError, match=words):
            encoder.transform(ROWS.with_columns(column))
    with pytest.raises(UsageError, match="the encoder reads day, which the frame doesn't have"):
        encoder.transform(ROWS.drop("day"))
    require_encodable({"n": pl.Boolean(), "carrier": pl.Null()}, encoder.encodings)


class Odd(tm.Contract):
    tags = tm.List(tm.String())
    raw = tm.Binary()
    id = tm.String()


def test_types_without_an_encoding_and_columns_that_are_ids_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = pl.DataFrame({"tags": [["a"]], "raw": [b"x"], "id": ["a"]})
    for name in ("tags", "raw"):
        with pytest.raises(UsageError, match=rf"'{name}' is .*, which has no encoding as a number"):
            tm.encoder(table, inputs=Odd.reads(name))
    monkeypatch.setattr(encoding, "MAX_CATEGORIES", 3)
    ids = pl.DataFrame({"id": ["a", "b", "c", "d"]})
    with pytest.raises(
        UsageError, match="'id' has 4 different values, and an encoder keeps at most 3"
    ):
        tm.encoder(ids, inputs=Odd.reads("id"))


def test_no_rows_give_an_array_without_rows() -> None:
    encoder = tm.encoder(ROWS, inputs=Mixed.reads(*NAMES))
    assert encode_columns(ROWS.clear(), encoder.encodings).shape == (0, len(NAMES))


@given(before=words, now=words)
def test_a_continued_encoder_keeps_the_numbers_of_its_parent(
    before: list[str | None], now: list[str | None]
) -> None:
    inputs = Mixed.reads("carrier", "port")
    first, second = (
        pl.DataFrame(
            {"carrier": found, "port": None}, schema={"carrier": pl.String, "port": pl.Enum(PORTS)}
        )
        for found in (before, now)
    )
    # The encodings of a parent are those of its encoder.
    parent: Any = tm.encoder(first, inputs=inputs)
    grown = tm.encoder(second, inputs=inputs, parent=parent).encodings
    known, new = parent.encodings[0].categories, grown[0].categories
    assert new[: len(known)] == known
    assert list(new[len(known) :]) == sorted({w for w in now if w is not None} - set(known))
    assert grown[1] == parent.encodings[1]
    assert tm.encoder(second, inputs=inputs, parent=None) == tm.encoder(second, inputs=inputs)


def test_a_row_alone_has_the_numbers_that_it_has_among_others() -> None:
    # Their quotients by a million and a thousand million have another last bit than the products.
    at = datetime(1987, 1, 1, 0, 0, 0, 1)
    frame = pl.DataFrame({"at": [at, DAY], "took": [timedelta(microseconds=3), timedelta(1)]})
    frame = frame.with_columns(clock=pl.Series([time(0, 0, 0, 7), time(1)]))
    encodings = [
        ColumnEncoding(name=name, kind=kind)  # type: ignore[arg-type]
        for name, kind in (("at", "datetime"), ("took", "duration"), ("clock", "time"))
    ]
    both = encode_columns(frame, encodings)
    assert encode_columns(frame.head(1), encodings).tobytes() == both[:1].tobytes()
