"""Errors of requests: status, message, and more headers."""

from __future__ import annotations

import json

import pytest

from tidemill.serving.errors import (
    BadRequest,
    BrokenRows,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    Refusal,
    RequestError,
    Unavailable,
    UnsupportedMediaType,
)
from tidemill.serving.rows import RowFinding


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (BadRequest("x"), 400, ()),
        (NotFound("x"), 404, ()),
        (MethodNotAllowed("PUT", ["GET", "HEAD"]), 405, (("allow", "GET, HEAD"),)),
        (NotAcceptable("x"), 406, ()),
        (PayloadTooLarge("x"), 413, ()),
        (UnsupportedMediaType("x"), 415, ()),
        (Refusal(429, "x", headers=(("retry-after", "3"),)), 429, (("retry-after", "3"),)),
        (Unavailable("x"), 503, (("retry-after", "1"),)),
    ],
)
def test_an_error_has_a_status_and_headers(
    error: RequestError, status: int, headers: tuple[tuple[str, str], ...]
) -> None:
    assert (error.status, error.headers) == (status, headers)
    assert error.document() == {"error": error.message}


def test_a_message_is_short_and_can_be_sent() -> None:
    assert len(BadRequest("x" * 10_000).message) == 2_000
    assert BadRequest("\ud800").message == "\\ud800"


def test_broken_rows_show_the_first_findings() -> None:
    findings = [
        RowFinding(row=at, field="hour", rule="hour.max", value=99, message="above max=23")
        for at in range(4)
    ]
    error = BrokenRows("Flights 1.0.0", rows=9, rejected=4, findings=findings, count=4)
    assert error.message == (
        "4 of 9 rows break the contract Flights 1.0.0: row 0: hour.max: above max=23, got 99; "
        "row 1: hour.max: above max=23, got 99; row 2: hour.max: above max=23, got 99; and 1 more"
    )
    document = json.loads(json.dumps(error.document()))
    assert document["findings"][3] == {
        "row": 3,
        "field": "hour",
        "rule": "hour.max",
        "value": 99,
        "message": "above max=23",
    }
