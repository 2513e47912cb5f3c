"""Tensors: the data types of columns, and binary data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tidemill as tm
from tidemill.contracts.column import Column
from tidemill.serving.errors import BadRequest
from tidemill.serving.tensors import accepted_datatypes, datatype_of, read_tensor, write_tensor


@pytest.mark.parametrize(
    ("column", "datatype"),
    [
        (tm.Float64(), "FP64"),
        (tm.Float32(), "FP32"),
        (tm.Float16(), "FP32"),
        (tm.Int8(), "INT8"),
        (tm.UInt64(), "UINT64"),
        (tm.Int128(), "INT64"),
        (tm.Bool(), "BOOL"),
        (tm.Decimal(6, 2), "FP64"),
        (tm.Duration(), "FP64"),
        (tm.String(), "BYTES"),
        (tm.Enum(["a"]), "BYTES"),
        (tm.Date(), "BYTES"),
        (tm.Datetime(), "BYTES"),
        (tm.List(tm.Int64()), "BYTES"),
    ],
)
def test_every_type_has_a_data_type(column: Column, datatype: str) -> None:
    assert datatype_of(column.dtype) == datatype
    assert accepted_datatypes(column.dtype)[0] == datatype


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("FP64", [1.5, -2.0]),
        ("FP32", [1.5, -2.0]),
        ("FP16", [1.5]),
        ("INT8", [-1, 127]),
        ("UINT64", [2**64 - 1]),
        ("BOOL", [True, False]),
    ],
)
def test_numbers_are_read_as_they_are_written(datatype: str, values: list[Any]) -> None:
    data = write_tensor(datatype, values)
    assert read_tensor("x", datatype, len(values), data).tolist() == values


def test_texts_have_their_length_before_them() -> None:
    data = write_tensor("BYTES", ["größe", None, ""])
    assert read_tensor("x", "BYTES", 3, data) == ["größe".encode(), b"", b""]
    # Of one length, also if that is 0.
    for texts in (["a", "b"], ["", ""], [""]):
        data = write_tensor("BYTES", texts)
        assert read_tensor("x", "BYTES", len(texts), data) == [text.encode() for text in texts]


def test_any_byte_but_zero_is_true() -> None:
    assert read_tensor("x", "BOOL", 2, b"\x02\x00").tolist() == [True, False]


def test_a_missing_number_is_written_as_nan() -> None:
    assert np.isnan(np.frombuffer(write_tensor("FP64", [None, 1.0]), "<f8")).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("FP64", b"1234567"),
        ("BYTES", b""),
        ("BYTES", b"\x01\x00"),
        ("BYTES", b"\xff\xff\xff\xffabc"),
        ("BYTES", b"\x01\x00\x00\x00ab"),
    ],
)
def test_data_of_another_size_is_refused(datatype: str, data: bytes) -> None:
    with pytest.raises(BadRequest, match="input 'x' has"):
        read_tensor("x", datatype, 1, data)
