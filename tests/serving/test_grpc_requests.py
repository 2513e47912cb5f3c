"""Calls over gRPC become the requests over HTTP that ask the same."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from tidemill.serving.errors import BadRequest
from tidemill.serving.grpc_requests import RPCS, HttpRequest, UnknownCall, find_rpc, read_call
from tidemill.serving.tensors import DATATYPES, read_tensor


def read(request: Any) -> HttpRequest:
    name = type(request).__name__.removesuffix("Request")
    return read_call(name, request.SerializeToString())


def parts(request: HttpRequest) -> tuple[dict[str, Any], bytes]:
    assert request.fault is None
    head: dict[str, Any] = json.loads(request.body[: request.json_length])
    return head, request.body[request.json_length :]


def infer(inputs: Any = (), **fields: Any) -> Any:
    return service_pb2.ModelInferRequest(model_name="m", inputs=inputs, **fields)


def typed(datatype: str, field: str, values: Any, shape: Any = (2,)) -> Any:
    contents = {field: values}
    return {"name": "x", "datatype": datatype, "shape": shape, "contents": contents}


def test_only_the_calls_of_the_service_are_known() -> None:
    for rpc in RPCS:
        assert find_rpc(f"/inference.GRPCInferenceService/{rpc}".encode()) == rpc
    for path in (
        b"/inference.GRPCInferenceService/ModelStreamInfer",
        b"/v2",
        b"",
        b"/x/ServerLive",
        b"\xff",
    ):
        with pytest.raises(UnknownCall, match="ServerLive"):
            find_rpc(path)


@pytest.mark.parametrize(
    ("request_", "method", "path"),
    [
        (service_pb2.ServerLiveRequest(), "GET", b"/v2/health/live"),
        (service_pb2.ServerReadyRequest(), "GET", b"/v2/health/ready"),
        (service_pb2.ServerMetadataRequest(), "GET", b"/v2"),
        (service_pb2.ModelReadyRequest(name="a"), "GET", b"/v2/models/a/ready"),
        (
            service_pb2.ModelMetadataRequest(name="a", version="7"),
            "GET",
            b"/v2/models/a/versions/7",
        ),
        (service_pb2.ModelInferRequest(model_name="a"), "POST", b"/v2/models/a/infer"),
        # A name can't become another path.
        (
            service_pb2.ModelReadyRequest(name="../a/b?c#%2e ü"),
            "GET",
            b"/v2/models/..%2Fa%2Fb%3Fc%23%252e%20%C3%BC/ready",
        ),
    ],
)
def test_a_call_has_its_route(request_: Any, method: str, path: bytes) -> None:
    found = read(request_)
    assert (found.method, found.path, found.fault) == (method, path, None)


def test_a_request_becomes_binary_tensors() -> None:
    raw = np.array([1.5, math.nan]).tobytes()
    request = infer(
        [{"name": "x", "datatype": "FP64", "shape": [2]}],
        id="a1",
        raw_input_contents=[raw],
        outputs=[{"name": "prediction"}],
    )
    request.parameters["partial"].bool_param = True
    request.parameters["timeout"].int64_param = -(2**63)
    request.outputs[0].parameters["binary_data"].bool_param = False
    head, tail = parts(read(request))
    assert tail == raw
    assert head == {
        "id": "a1",
        "parameters": {"partial": True, "timeout": -(2**63), "binary_data_output": True},
        "inputs": [
            {"name": "x", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
        ],
        "outputs": [{"name": "prediction", "parameters": {"binary_data": False}}],
    }


def test_a_caller_cannot_say_where_a_tensor_ends() -> None:
    request = infer(
        [{"name": "x", "datatype": "FP64", "shape": [1]}], raw_input_contents=[b"12345678"]
    )
    request.inputs[0].parameters["binary_data_size"].int64_param = 3
    head, _ = parts(read(request))
    assert head["inputs"][0]["parameters"] == {"binary_data_size": 8}


BOUNDS = {name: np.iinfo(name.lower()) for name in DATATYPES if "INT" in name}
FIELDS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
}


@given(st.data(), st.sampled_from(sorted(BOUNDS)))
def test_typed_integers_arrive(data: st.DataObject, datatype: str) -> None:
    bounds = BOUNDS[datatype]
    values = data.draw(st.lists(st.integers(int(bounds.min), int(bounds.max)), min_size=1))
    _, tail = parts(read(infer([typed(datatype, FIELDS[datatype], values)])))
    assert read_tensor("x", datatype, len(values), tail).tolist() == values


@given(st.lists(st.floats(width=32)), st.lists(st.floats()), st.lists(st.booleans()))
def test_other_typed_values_arrive(singles: Any, doubles: Any, flags: Any) -> None:
    for datatype, values in (("FP32", singles), ("FP64", doubles), ("BOOL", flags)):
        field = f"{datatype.lower()}_contents"
        _, tail = parts(read(infer([typed(datatype, field, values)])))
        found = read_tensor("x", datatype, len(values), tail)
        assert np.array_equal(found, np.array(values, found.dtype), equal_nan=True)
        assert list(np.signbit(found)) == list(np.signbit(np.array(values, found.dtype)))


@given(st.lists(st.binary()))
def test_typed_texts_arrive(values: list[bytes]) -> None:
    _, tail = parts(read(infer([typed("BYTES", "bytes_contents", values)])))
    assert read_tensor("x", "BYTES", len(values), tail) == values


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (infer([typed("INT8", "int_contents", [1, 300])]), "'x' has 300, which INT8 can't hold"),
        (infer([typed("UINT16", "uint_contents", [70000])]), "'x' has 70000, which UINT16"),
        (
            infer([typed("INT64", "int_contents", [1])]),
            "is INT64, but has its values in int_contents: send",
        ),
        (
            infer([typed("FP16", "fp32_contents", [1])]),
            "in fp32_contents: send them in raw_input_contents",
        ),
        (
            infer([typed("FP64", "fp64_contents", [1])] * 2, raw_input_contents=[b""]),
            "1 items, but the re",
        ),
        (
            infer([typed("FP64", "fp64_contents", [1])], raw_input_contents=[b""]),
            "'x' has contents, but",
        ),
        (service_pb2.ModelInferRequest(), "names no model"),
        (service_pb2.ModelReadyRequest(version="1"), "names no model"),
    ],
)
def test_what_is_wrong_is_named(request_: Any, message: str) -> None:
    fault = read(request_).fault
    assert isinstance(fault, BadRequest)
    assert message in fault.message


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_parameter_has_a_value(value: float | None) -> None:
    request = infer([typed("FP64", "fp64_contents", [1])])
    parameter = request.parameters["p"]
    if value is not None:
        parameter.double_param = value
    fault = read(request).fault
    assert fault is not None
    assert "parameter 'p' of the request is" in fault.message


@given(st.sampled_from(RPCS), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(rpc: str, payload: bytes) -> None:
    found = read_call(rpc, payload)
    assert found.fault is None or found.fault.status == 400


def test_text_is_utf8() -> None:
    found = read_call("ModelReady", b"\x0a\x02\xff\xfe")
    assert found.fault is not None
    assert "no ModelReadyRequest, or its text isn't UTF-8" in found.fault.message
