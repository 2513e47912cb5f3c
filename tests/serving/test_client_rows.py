"""Rows of a client are encoded as the server reads them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest

from tidemill.core.errors import UsageError
from tidemill.serving.client_rows import encode_rows


def test_rows_of_a_frame_are_sent_by_name() -> None:
    frame = pl.DataFrame({"day": [date(2024, 1, 2)], "x": [float("nan")], "n": [Decimal("1.50")]})
    assert encode_rows(frame) == b'[{"day":"2024-01-02","x":null,"n":"1.50"}]'


@pytest.mark.parametrize("rows", [5, "text", [1, 2], [{"x": object()}], [{"x": "\ud800"}]])
def test_what_is_no_rows_is_refused(rows: Any) -> None:
    with pytest.raises(UsageError):
        encode_rows(rows)


@pytest.mark.parametrize("value", [float("inf"), np.float32("-inf")])
def test_infinite_numbers_are_not_sent_as_missing_ones(value: Any) -> None:
    with pytest.raises(UsageError, match=r"row 1: x is -?inf"):
        encode_rows([{"x": None, "y": "inf"}, {"x": value}])


def test_values_of_numpy_are_sent() -> None:
    row = {"x": np.float64(1.5), "n": np.int64(2**53 + 1), "b": np.bool_(True), "m": None}
    assert encode_rows(row) == b'[{"x":1.5,"n":9007199254740993,"b":true,"m":null}]'
    with pytest.raises(UsageError, match="ndarray is no value"):
        encode_rows({"x": np.array([1.0])})


AT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.float32(1.5), 1.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.float64("nan"), None),
        (np.datetime64("2024-01-02T03:04:05"), "2024-01-02T03:04:05"),
        (np.timedelta64(1500, "ms"), 1.5),
        (timedelta(seconds=90), 90.0),
        (AT, "2024-01-02T03:04:05Z"),
        (pd.Timestamp(AT), "2024-01-02T03:04:05+00:00"),
        (pd.NaT, None),
    ],
)
def test_values_are_sent_as_the_server_reads_them(value: Any, sent: Any) -> None:
    assert json.loads(encode_rows({"x": value})) == [{"x": sent}]


def test_rows_of_other_frames() -> None:
    frame = pl.DataFrame({"x": [1, None], "t": ["a", "ü"]})
    expected = json.loads(encode_rows(frame))
    assert expected == [{"x": 1, "t": "a"}, {"x": None, "t": "ü"}]
    assert json.loads(encode_rows(frame.lazy())) == expected
    panda = pd.DataFrame({"x": pd.array([1, None], dtype="Int64"), "t": ["a", "ü"]})
    assert json.loads(encode_rows(panda)) == expected
    times = pd.DataFrame({"at": [pd.Timestamp(AT), pd.NaT], "f": [1.5, float("nan")]})
    assert json.loads(encode_rows(times)) == [
        {"at": "2024-01-02T03:04:05+00:00", "f": 1.5},
        {"at": None, "f": None},
    ]
