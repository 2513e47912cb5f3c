"""Infer requests are read exactly, with a message for whatever is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.errors import BadRequest, BrokenRows, PayloadTooLarge
from tidemill.serving.loose_bodies import LooseRequest, read_infer_body, read_rows_body
from tidemill.serving.rows import RequestLimits

SPEC = declare(
    {"hour": tm.Int64(), "wind": tm.Float64(), "gate": tm.Float64(optional=True, default=1.0)}
)
LIMITS = RequestLimits(rows=3)
HOUR = {"name": "hour", "shape": [2], "datatype": "INT64", "data": [1, 2]}
WIND = {"name": "wind", "shape": [2, 1], "datatype": "FP64", "data": [[0.5], [1]]}


def read(document: Any, tail: bytes = b"", *, has_tail: bool = False) -> LooseRequest:
    body = json.dumps(document).encode()
    length = len(body) if tail or has_tail else None
    return read_infer_body(body + tail, SPEC, SPEC.columns, LIMITS, json_length=length)


def test_a_request_has_its_columns_in_the_order_of_the_contract() -> None:
    outputs = [{"name": "prediction", "parameters": {"binary_data": True}}, {"name": "x"}]
    found = read(
        {
            "id": "a",
            "inputs": [WIND, HOUR],
            "outputs": outputs,
            "parameters": {"n": 1, "t": "x", "b": True},
        }
    )
    assert found.count == 2
    assert [tensor and tensor.values for tensor in found.columns] == [
        ["1", "2"],
        ["0.5", "1"],
        None,
    ]
    assert found.outputs is not None
    assert [(o.name, o.binary) for o in found.outputs] == [("prediction", True), ("x", False)]
    assert (found.id, found.parameters) == ("a", {"n": 1, "t": "x", "b": True})


def test_one_matrix_may_hold_all_columns_of_numbers() -> None:
    matrix = {"name": "any", "shape": [2, 3], "datatype": "FP64", "data": [[1, 2, 3], [4, 5, 6]]}
    found = read({"inputs": [matrix]})
    assert [tensor and tensor.values for tensor in found.columns] == [
        ["1", "4"],
        ["2", "5"],
        ["3", "6"],
    ]


def test_binary_data_follows_in_the_order_of_the_inputs() -> None:
    hour = {
        "name": "hour",
        "shape": [2],
        "datatype": "INT32",
        "parameters": {"binary_data_size": 8},
    }
    found = read({"inputs": [WIND, hour]}, b"\x01\0\0\0\x02\0\0\0")
    assert found.columns[0] is not None
    assert found.columns[0].values.tolist() == [1, 2]


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in HOUR.items() if key != name}


BINARY = {"binary_data_size": 16}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "the body is a list, not an object"),
        ({}, "needs a list 'inputs'"),
        ({"inputs": []}, "needs a list 'inputs'"),
        ({"inputs": [1]}, r"inputs\[0\] is a number"),
        ({"inputs": [without("name")]}, r"inputs\[0\] needs a 'name'"),
        ({"inputs": [without("shape")]}, "'hour' needs a 'shape'"),
        ({"inputs": [without("data")]}, "'hour' needs a list 'data'"),
        ({"inputs": [without("datatype")]}, "has datatype None, not one of BOOL"),
        ({"inputs": [HOUR | {"datatype": "INT7"}]}, "has datatype 'INT7'"),
        ({"inputs": [HOUR | {"shape": [-1]}]}, "isn't a list of sizes"),
        ({"inputs": [HOUR | {"shape": [2.5]}]}, "isn't a list of sizes"),
        ({"inputs": [HOUR | {"shape": [3]}]}, r"has 2 values, but shape \[3\] has 3"),
        ({"inputs": [HOUR | {"shape": [1, 2]}, WIND]}, r"has shape \[1, 2\], but a column"),
        ({"inputs": [HOUR | {"datatype": "BYTES"}, WIND]}, "'hour' is INT64, but the request sends BYTES"),
        ({"inputs": [HOUR, HOUR]}, "there are two inputs 'hour'"),
        ({"inputs": [HOUR]}, "input 'wind' is missing"),
        ({"inputs": [HOUR, WIND, HOUR | {"name": "hours"}]}, "no input 'hours' .did you mean 'hour'"),
        ({"inputs": [HOUR | {"shape": [1], "data": [1]}, WIND]}, "'hour' has 1 rows, but input 'wind' has 2"),
        ({"inputs": [HOUR | {"shape": [0], "data": []}, WIND | {"shape": [0], "data": []}]}, "no rows"),
        ({"inputs": [HOUR, WIND], "id": 1}, "'id' is a number, not text"),
        ({"inputs": [HOUR, WIND], "parameters": []}, "'parameters' of the request is a list"),
        ({"inputs": [HOUR, WIND], "parameters": {"a": []}}, "parameter 'a' of the request is a list"),
        ({"inputs": [HOUR, WIND], "outputs": {}}, "'outputs' is an object, not a list"),
        ({"inputs": [HOUR, WIND], "outputs": [{}]}, r"outputs\[0\] needs a 'name'"),
        ({"inputs": [HOUR | {"parameters": BINARY}, WIND]}, "has binary_data_size 16, but 0 bytes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(document: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read(document)


def test_binary_data_must_be_described_exactly() -> None:
    hour = without("data") | {"parameters": BINARY}
    with pytest.raises(BadRequest, match="has 17 bytes of binary data, but the inputs describe 16"):
        read({"inputs": [hour, WIND]}, bytes(17))
    with pytest.raises(BadRequest, match="has both 'data' and 'binary_data_size'"):
        read({"inputs": [HOUR | {"parameters": BINARY}, WIND]}, bytes(16))
    with pytest.raises(
        BadRequest, match="Inference-Header-Content-Length is 99, but the body has 2"
    ):
        read_infer_body(b"{}", SPEC, SPEC.columns, LIMITS, json_length=99)
    assert read({"inputs": [hour, WIND]}, bytes(16)).count == 2


def test_too_many_rows_are_refused() -> None:
    many = {"shape": [4], "data": [1] * 4}
    with pytest.raises(PayloadTooLarge, match="4 rows, but the server accepts 3"):
        read({"inputs": [HOUR | many, WIND | many]})


def test_columns_of_the_contract_that_the_model_does_not_read_are_ignored() -> None:
    columns = SPEC.columns[:1]
    body = json.dumps({"inputs": [HOUR, WIND]}).encode()
    assert len(read_infer_body(body, SPEC, columns, LIMITS).columns) == 1
    assert read_rows_body(b'{"hour": 1, "wind": 2}', SPEC, columns, LIMITS) == [
        {"hour": "1", "wind": "2"}
    ]


def test_unknown_columns_are_refused_unless_the_contract_drops_them() -> None:
    body = b'[{"hour": 1}, {"hour": 1, "hours": 2, "x": 3}]'
    with pytest.raises(BrokenRows, match="row 1: unknown_columns") as caught:
        read_rows_body(body, SPEC, SPEC.columns, LIMITS)
    assert (caught.value.rejected, caught.value.count) == (1, 2)
    dropping = replace(SPEC, unknown_columns="drop")
    assert len(read_rows_body(body, dropping, SPEC.columns, LIMITS)) == 2


def test_a_huge_name_is_shown_short() -> None:
    body = json.dumps({"hour": 1, "k" * 1_000_000: 2}).encode()
    with pytest.raises(BrokenRows) as caught:
        read_rows_body(body, SPEC, SPEC.columns, LIMITS)
    assert len(json.dumps(caught.value.document())) < 2_000


def test_more_numbers_than_all_rows_may_have_are_refused() -> None:
    body = b'[{"hour": [' + b"1," * 20_000 + b"1]}]"
    with pytest.raises(PayloadTooLarge, match="more than 10,016 numbers and objects"):
        read_rows_body(body, SPEC, SPEC.columns, LIMITS)
    objects = b'{"inputs": [' + b"{}," * 20_000 + b"{}]}"
    with pytest.raises(PayloadTooLarge, match="numbers and objects"):
        read_infer_body(objects, SPEC, SPEC.columns, LIMITS)
    nested = declare({"x": tm.List(tm.Int64())})
    assert len(read_rows_body(body.replace(b"hour", b"x"), nested, nested.columns, LIMITS)) == 1
