"""Typed decoding accepts what it is sure of, and leaves all else to exact decoding."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

import tidemill as tm
from tidemill.serving.column_forms import column_form
from tidemill.serving.rows import RequestLimits, WantedOutput
from tidemill.serving.typed_bodies import OipDecoder, RowsDecoder, are_typed

COLUMNS = {
    "hour": tm.Int64(max=23),
    "a:b": tm.String(),
    "wind": tm.Float64(nullable=True),
    "day": tm.Date(optional=True, default=date(2013, 3, 7)),
}
FORMS = [column_form(replace(column, name=name)) for name, column in COLUMNS.items()]
LIMITS = RequestLimits(rows=3)
OIP, ROWS = OipDecoder(FORMS, LIMITS), RowsDecoder(FORMS, LIMITS)
INPUTS = [
    {"name": "hour", "shape": [2], "datatype": "INT64", "data": [1, 2]},
    {"name": "a:b", "shape": [2], "datatype": "BYTES", "data": ["x:y", "z"]},
    {"name": "wind", "shape": [2], "datatype": "FP64", "data": [0.5, None]},
    {"name": "day", "shape": [2], "datatype": "BYTES", "data": ["2013-03-07", "2013-03-08"]},
]
VALUES = ([1, 2], ["x:y", "z"], [0.5, None], [date(2013, 3, 7), date(2013, 3, 8)])


def infer(**more: Any) -> Any:
    return OIP.decode(json.dumps({"inputs": INPUTS, **more}).encode())


def test_tensors_become_columns() -> None:
    assert infer().rows.columns == VALUES


def test_the_order_of_tensors_and_the_rest_of_the_request_dont_matter() -> None:
    outputs = [{"name": "a:b", "parameters": {"binary_data": True}}, {"name": "y"}]
    found = infer(
        inputs=[INPUTS[3], {**INPUTS[0], "parameters": {"content_type": "np:x"}}, *INPUTS[1:3]],
        id="a:b",
        parameters={"partial": True, "n:m": "x:y", "binary_data_output": True},
        outputs=outputs,
    )
    assert found.rows.columns == VALUES
    assert found.outputs == (WantedOutput("a:b", True), WantedOutput("y"))
    assert (found.id, found.binary_output, found.parameters["n:m"]) == ("a:b", True, "x:y")


def test_an_optional_tensor_may_be_missing() -> None:
    days = [date(2013, 3, 7), date(2013, 3, 7)]
    assert infer(inputs=INPUTS[:3]).rows.columns == (*VALUES[:3], days)
    doubled = json.dumps({"inputs": INPUTS[:3]}).replace(
        '"shape": [2]', '"shape": [2], "shape": [2]', 1
    )
    assert OIP.decode(doubled.encode()) is None


@pytest.mark.parametrize(
    "more",
    [
        {"inputs": INPUTS[1:]},
        {"inputs": [*INPUTS[:3], INPUTS[0]]},
        {"inputs": []},
        {"inputs": [{**tensor, "shape": [3]} for tensor in INPUTS]},
        {"inputs": [{**INPUTS[0], "shape": [2, 1]}, *INPUTS[1:]]},
        {"inputs": [{**tensor, "shape": [0], "data": []} for tensor in INPUTS]},
        {"inputs": [{**tensor, "shape": [4], "data": tensor["data"] * 2} for tensor in INPUTS]},  # type: ignore[operator]
        {"inputs": [{**INPUTS[0], "data": [1, 99]}, *INPUTS[1:]]},
        {"inputs": [*INPUTS[:3], {**INPUTS[3], "data": ["2013-03-07", "x"]}]},
        {"unknown": 1},
    ],
)
def test_other_requests_are_left_to_exact_decoding(more: dict[str, Any]) -> None:
    assert infer(**more) is None


@pytest.mark.parametrize(
    "body",
    [
        b'[{"hour": 1, "a:b": "x\\u003ay", "wind": null}]',
        b'[{"hour": 1, "a:b": "\xef\xb7\x90", "wind": null}]',
        b'[{"hour": 1, "a:b": "\\uFDD0", "wind": null}]',
        b'[{"hour": 1, "hour" : 2, "a:b": "", "wind": null}]',
        b'[{"hour": 1, "a:b": "", "wind": null, "x": 1}]',
        b'[{"hour": 1, "a:b": "\xff", "wind": null}]',
        b"[]",
        b"[" * 5000,
        json.dumps([{"hour": 1, "a:b": ""}] * 4).encode(),
    ],
)
def test_other_rows_are_left_to_exact_decoding(body: bytes) -> None:
    assert ROWS.decode(body) is None


def test_rows_may_leave_out_optional_columns_and_nulls() -> None:
    rows = [{"hour": 1, "a:b": "x:ö"}, {"wind": 2, "hour": 1, "a:b": '\\"', "day": "2013-03-08"}]
    found = ROWS.decode(json.dumps(rows, ensure_ascii=False).encode())
    assert found is not None
    assert [list(column) for column in found.columns] == [
        [1, 1],
        ["x:ö", '\\"'],
        [None, 2.0],
        [date(2013, 3, 7), date(2013, 3, 8)],
    ]
    one = ROWS.decode(json.dumps(rows[0]).encode())
    assert one is not None
    assert one.count == 1


def test_some_columns_cant_be_typed() -> None:
    assert are_typed(FORMS)
    assert not are_typed([column_form(replace(tm.Int64(), name='a"b'))])
    assert not are_typed([column_form(replace(tm.Binary(), name="a"))])
