"""Replies of the Open Inference Protocol."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tidemill as tm
from tidemill.serving import oip
from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.errors import BadRequest
from tidemill.serving.oip import InferReplies, Reply
from tidemill.serving.rows import InferRequest, Rejected, RequestRows, RowFinding, WantedOutput

SERVED = ServedVersion(
    model="delays", version="a1b2", contract="Flights 1.0.0", watermark="2013-03-07"
)
ROWS = RequestRows(2, ([1, 2],))
REQUEST = InferRequest(rows=ROWS)
NUMBER, CLASSES = AnswerForm(), AnswerForm(["a", "b", "größe"])


def loaded(reply: Reply) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reply.body)
    return found


def test_a_plain_reply_has_the_version_the_contract_and_the_watermark() -> None:
    reply = InferReplies(SERVED, NUMBER).reply(NUMBER.many(np.array([1.5, np.nan])), REQUEST)
    assert loaded(reply) == {
        "model_name": "delays",
        "model_version": "a1b2",
        "parameters": {"contract": "Flights 1.0.0", "watermark": "2013-03-07"},
        "outputs": [{"name": "prediction", "shape": [2], "datatype": "FP64", "data": [1.5, None]}],
    }
    assert (reply.content_type, reply.headers) == ("application/json", ())


def test_classes_are_labels_with_the_probability_of_each() -> None:
    found = np.array([[0.1, 0.7, 0.2], [np.nan, 0.0, 1.0]])
    reply = loaded(InferReplies(SERVED, CLASSES).reply(CLASSES.many(found), REQUEST))
    assert [(t["name"], t["datatype"], t["data"]) for t in reply["outputs"]] == [
        ("prediction", "BYTES", ["b", None]),
        ("probability_a", "FP64", [0.1, None]),
        ("probability_b", "FP64", [0.7, 0.0]),
        ("probability_größe", "FP64", [0.2, 1.0]),
    ]


@pytest.mark.parametrize("form", [NUMBER, CLASSES])
def test_the_full_reply_says_the_same_as_the_plain_one(form: AnswerForm) -> None:
    found = [0.1, 0.7, 0.2] if form is CLASSES else 1.5
    replies, answer = InferReplies(SERVED, form), form.one(found)
    for request_id in (None, 'a"b'):
        request = InferRequest(rows=ROWS, id=request_id)
        named = tuple(WantedOutput(output.name) for output in form.outputs)
        every = InferRequest(rows=ROWS, id=request_id, outputs=named)
        assert loaded(replies.reply(answer, request)) == loaded(replies.reply(answer, every))


def test_binary_outputs_follow_the_json() -> None:
    found = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]])
    wanted = (WantedOutput("probability_a", True), WantedOutput("prediction", True))
    request = InferRequest(rows=ROWS, id="x", outputs=wanted)
    reply = InferReplies(SERVED, CLASSES).reply(CLASSES.many(found), request)
    size = int(dict(reply.headers)["inference-header-content-length"])
    head, tail = json.loads(reply.body[:size]), reply.body[size:]
    sizes = [tensor["parameters"]["binary_data_size"] for tensor in head["outputs"]]
    assert sizes == [16, 10]
    assert np.frombuffer(tail[:16]).tolist() == [0.1, 0.5]
    assert tail[16:] == b"\x01\0\0\0b\x01\0\0\0a"
    assert (head["id"], reply.content_type) == ("x", "application/octet-stream")


def test_all_outputs_are_binary_if_the_request_says_so() -> None:
    request = InferRequest(rows=ROWS, binary_output=True)
    reply = InferReplies(SERVED, NUMBER).reply(NUMBER.many(np.array([1.0, 2.0])), request)
    assert reply.body.endswith(np.array([1.0, 2.0]).tobytes())


def test_an_unknown_output_is_refused() -> None:
    request = InferRequest(rows=ROWS, outputs=(WantedOutput("x"),))
    with pytest.raises(BadRequest, match="no output 'x'; its outputs are 'prediction'"):
        InferReplies(SERVED, NUMBER).reply(NUMBER.one(1.0), request)


def test_a_partial_reply_names_its_rows_and_the_findings() -> None:
    finding = RowFinding(row=0, field="hour", rule="hour.max", value=99, message="above")
    rejected = Rejected(rows=3, kept=(1, 2), findings=(finding,), count=1)
    request = InferRequest(rows=ROWS, rejected=rejected)
    reply = loaded(InferReplies(SERVED, NUMBER).reply(NUMBER.many(np.array([1.0, 2.0])), request))
    assert reply["outputs"][1]["data"] == [1, 2]
    assert reply["rejected"]["rejected"] == 1
    assert reply["rejected"]["findings"][0]["rule"] == "hour.max"


def test_the_answer_may_add_parameters() -> None:
    from msgspec.structs import replace as with_fields

    answer = with_fields(NUMBER.one(1.0), parameters={"weather_age_s": 12.5})
    reply = loaded(InferReplies(SERVED, NUMBER).reply(answer, REQUEST))
    assert reply["parameters"]["weather_age_s"] == 12.5


def test_metadata_has_the_columns_of_the_contract() -> None:
    columns = [replace(tm.Int64(), name="hour"), replace(tm.String(), name="carrier")]
    reply = oip.model_metadata(
        "delays", versions=["a1b2"], platform="lightgbm", columns=columns, form=NUMBER
    )
    document = loaded(reply)
    assert document["inputs"] == [
        {"name": "hour", "datatype": "INT64", "shape": [-1]},
        {"name": "carrier", "datatype": "BYTES", "shape": [-1]},
    ]
    assert document["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    assert (document["versions"], document["platform"]) == (["a1b2"], "lightgbm")


def test_the_server_describes_itself() -> None:
    assert loaded(oip.server_metadata("1")) == {
        "name": "tidemill",
        "version": "1",
        "extensions": ["binary_tensor_data"],
    }
    assert loaded(oip.live()) == {"live": True}
    assert loaded(oip.ready(False)) == {"ready": False}
    assert loaded(oip.model_ready("delays", True)) == {"name": "delays", "ready": True}
