"""Named rows in JSON, CSV and Arrow are answered in the same format."""

from __future__ import annotations

import io
import json

import msgspec
import numpy as np
import polars as pl
import pytest

from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.errors import NotAcceptable, UnsupportedMediaType
from tidemill.serving.oip import JSON
from tidemill.serving.predictions import ARROW, CSV, PredictReplies, media_type, reply_type
from tidemill.serving.rows import InferRequest, Rejected, RequestRows, RowFinding

SERVED = ServedVersion(
    model="größe", version="a1", contract="Flights 1.0.0", watermark="2013-03-07"
)
CLASSES = AnswerForm(["a", "b", "c"])
ANSWER = CLASSES.many(np.array([[0.5, 0.2, 0.3], [np.nan, 0.5, 0.5]]))
REQUEST = InferRequest(rows=RequestRows(2, ([1, 2],)))
FINDING = RowFinding(row=0, field="x", rule="x.max", value=9, message="no")
PARTIAL = InferRequest(
    rows=RequestRows(2, ([1, 2],)),
    rejected=Rejected(rows=3, kept=(1, 2), findings=(FINDING,), count=1),
)
REPLIES = PredictReplies(SERVED, CLASSES)


def test_json_has_an_object_per_row() -> None:
    document = json.loads(REPLIES.reply(ANSWER, REQUEST).body)
    assert document == {
        "model": "größe",
        "version": "a1",
        "contract": "Flights 1.0.0",
        "watermark": "2013-03-07",
        "predictions": [
            {"prediction": "a", "probability_a": 0.5, "probability_b": 0.2, "probability_c": 0.3},
            {"prediction": None, "probability_a": None, "probability_b": 0.5, "probability_c": 0.5},
        ],
    }


def test_a_partial_answer_names_rows_and_findings() -> None:
    answer = msgspec.structs.replace(ANSWER, parameters={"weather_age_s": 3})
    document = json.loads(REPLIES.reply(answer, PARTIAL).body)
    assert [row["row"] for row in document["predictions"]] == [1, 2]
    assert document["rejected"]["findings"][0]["rule"] == "x.max"
    assert document["weather_age_s"] == 3
    reply = REPLIES.reply(answer, PARTIAL, CSV)
    assert reply.body.splitlines()[0].startswith(b"row,prediction,")
    headers = dict(reply.headers)
    assert (headers["tidemill-rejected"], headers["tidemill-weather-age-s"]) == ("1", "3")


def test_csv_and_arrow_have_a_column_per_output() -> None:
    text, stream = (REPLIES.reply(ANSWER, REQUEST, media) for media in (CSV, ARROW))
    assert text.body.splitlines()[1] == b"a,0.5,0.2,0.3"
    assert text.content_type == "text/csv; charset=utf-8"
    frame = pl.read_ipc_stream(io.BytesIO(stream.body))
    assert frame["prediction"].to_list() == ["a", None]
    assert stream.content_type == ARROW
    headers = dict(stream.headers)
    assert (headers["tidemill-version"], headers["tidemill-model"]) == ("a1", "gr??e")


@pytest.mark.parametrize(
    ("given", "media"),
    [("", JSON), ("application/json; charset=utf-8", JSON), ("TEXT/CSV", CSV), (ARROW, ARROW)],
)
def test_the_content_type_says_how_rows_are_read(given: str, media: str) -> None:
    assert media_type(given) == media


def test_other_content_types_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="'text/xml' isn't read here: send one of"):
        media_type("text/xml")


def test_what_curl_sends_by_itself_is_refused_with_the_header_to_send() -> None:
    with pytest.raises(
        UnsupportedMediaType, match="with curl: -H 'Content-Type: application/json'"
    ):
        media_type("application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", CSV),
        ("*/*", CSV),
        ("text/*", CSV),
        ("application/json", JSON),
        ("application/*", JSON),
        ("text/csv;q=0, application/json;q=0.5", JSON),
        ("text/csv;charset=utf-8", CSV),
        ("text/html, */*;q=0.1", CSV),
        (f"text/csv;q=x, {ARROW}", ARROW),
    ],
)
def test_a_reply_has_the_type_of_the_request_if_it_is_accepted(accept: str, media: str) -> None:
    assert reply_type(accept, CSV) == media


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "x"])
def test_an_answer_that_is_not_accepted_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        reply_type(accept, CSV)
