"""Replies over HTTP become the messages of the protocol."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from tidemill.serving import oip
from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.grpc_replies import is_answer, write_message
from tidemill.serving.oip import HEADER_LENGTH, InferReplies
from tidemill.serving.rows import InferRequest, Rejected, RequestRows, RowFinding

SERVED = ServedVersion(
    model="delays", version="a1b2", contract="Flights 1.0.0", watermark="2013-03-07"
)
CLASSES = AnswerForm(["a", "b", "größe"])


def response(rpc: str, reply: oip.Reply) -> Any:
    length = dict(reply.headers).get(HEADER_LENGTH)
    kind = getattr(service_pb2, f"{rpc}Response")
    return kind.FromString(write_message(rpc, reply.body, None if length is None else int(length)))


def infer_response(form: AnswerForm, values: Any, **fields: Any) -> Any:
    request = InferRequest(rows=RequestRows(2, ([1, 2],)), binary_output=True, **fields)
    return response("ModelInfer", InferReplies(SERVED, form).reply(form.many(values), request))


def test_health_and_metadata() -> None:
    assert response("ServerLive", oip.live()).live
    assert not response("ServerReady", oip.ready(False)).ready
    assert response("ModelReady", oip.model_ready("delays", True)).ready
    server = response("ServerMetadata", oip.server_metadata("1.2"))
    assert (server.name, server.version, server.extensions) == (
        "tidemill",
        "1.2",
        ["binary_tensor_data"],
    )
    found = response(
        "ModelMetadata",
        oip.model_metadata("delays", versions=["a1"], platform="x", columns=(), form=CLASSES),
    )
    assert (found.name, found.versions, found.platform) == ("delays", ["a1"], "x")
    outputs = [(each.name, each.datatype, [*each.shape]) for each in found.outputs]
    assert outputs[0] == ("prediction", "BYTES", [-1])
    assert outputs[3] == ("probability_größe", "FP64", [-1])


def test_outputs_are_raw() -> None:
    values = np.array([[0.1, 0.7, 0.2], [np.nan, 0.0, 1.0]])
    found = infer_response(CLASSES, values, id="x")
    assert (found.model_name, found.model_version, found.id) == ("delays", "a1b2", "x")
    assert found.parameters["contract"].string_param == "Flights 1.0.0"
    assert found.raw_output_contents[0] == b"\x01\0\0\0b\0\0\0\0"
    for at in range(3):
        raw = np.frombuffer(found.raw_output_contents[1 + at])
        assert np.array_equal(raw, values[:, at], equal_nan=True)


def test_rows_that_are_left_out_are_named() -> None:
    finding = RowFinding(row=0, field="hour", rule="hour.max", value=99, message="above")
    rejected = Rejected(rows=3, kept=(1, 2), findings=(finding,), count=1)
    found = infer_response(AnswerForm(), np.array([1.0, 2.0]), rejected=rejected)
    assert [each.name for each in found.outputs] == ["prediction", "row"]
    assert np.frombuffer(found.raw_output_contents[1], "<i8").tolist() == [1, 2]
    said = json.loads(found.parameters["rejected"].string_param)
    assert said["findings"][0]["rule"] == "hour.max"


@pytest.mark.parametrize(
    ("value", "field"),
    [(True, "bool_param"), (7, "int64_param"), (1.5, "double_param"), ("x", "string_param")],
)
def test_parameters_keep_their_types(value: Any, field: str) -> None:
    body = {"model_name": "m", "model_version": "v", "parameters": {"p": value}, "outputs": []}
    found = response("ModelInfer", oip.Reply(json.dumps(body).encode()))
    assert found.parameters["p"].WhichOneof("parameter_choice") == field
    assert getattr(found.parameters["p"], field) == value


def test_what_is_not_ready_is_an_answer() -> None:
    assert is_answer(200, b"{}")
    assert is_answer(503, oip.model_ready("m", False).body)
    assert not is_answer(503, b'{"error":"busy"}')
    assert not is_answer(404, oip.ready(False).body)
