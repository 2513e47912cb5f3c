from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tidemill.serving.client_errors import (
    NotAllowed,
    NotServed,
    RequestRefused,
    RowsRefused,
    ServerBusy,
    ServerFailed,
    ServerUnreachable,
    ServingError,
)
from tidemill.serving.client_exchange import (
    ClientRequest,
    Pause,
    Predictions,
    Received,
    Send,
    error_of,
    exchange,
    unreachable,
)

REQUEST = ClientRequest(endpoint="a b/c", body=b"[]", partial=True, token="tm_1_x")
GOOD = {
    "model": "m",
    "version": "v",
    "contract": "C 1",
    "weather_age_s": 2.5,
    "predictions": [{"prediction": 1.5, "row": 1}],
    "rejected": {"rows": 2, "count": 1, "findings": []},
}


def received(status: int, document: Any = None, now: float = 0.0, **headers: str) -> Received:
    body = b"" if document is None else msgspec.json.encode(document)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Received(status=status, body=body, headers=named, fault="refused", now=now)


def played(
    replies: Sequence[Received], *, retries: int = 3, timeout_s: float = 10.0
) -> tuple[Predictions | ServingError, list[Send], list[float]]:
    """What comes of replies, what was sent, and the pauses."""
    steps = exchange(REQUEST, timeout_s=timeout_s, retries=retries, now=0.0)
    sent: list[Send] = []
    pauses: list[float] = []
    left = iter(replies)
    answer: Received | None = None
    try:
        while not isinstance(step := steps.send(answer), Predictions):
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                answer = None
            else:
                sent.append(step)
                answer = next(left)
        # Nothing follows.
        assert next(steps, None) is None
        return step, sent, pauses
    except ServingError as error:
        return error, sent, pauses


def test_a_good_reply_is_predictions() -> None:
    found, sent, pauses = played([received(200, GOOD)])
    assert isinstance(found, Predictions)
    assert (found.values, found.model, found.version) == ([None, 1.5], "m", "v")
    assert (len(found), found.watermark, found.lookups) == (2, "", {"weather_age_s": 2.5})
    assert found.rejected == GOOD["rejected"]
    assert pauses == []
    assert sent == [
        Send(
            path="/predict/a%20b%2Fc?partial=true",
            headers={
                "content-type": "application/json",
                "x-request-timeout-ms": "10000",
                "authorization": "Bearer tm_1_x",
            },
            body=b"[]",
            timeout_s=10.0,
        )
    ]


def test_all_rows_are_answered_in_order() -> None:
    document = {"model": "m", "version": "v", "predictions": [{"prediction": 1}, {"prediction": 2}]}
    found, _, _ = played([received(200, document)])
    assert isinstance(found, Predictions)
    assert (found.values, found.rejected) == ([1, 2], None)


def test_a_request_without_a_token_has_no_authorization() -> None:
    step = next(exchange(ClientRequest(endpoint="a", body=b""), timeout_s=1, retries=0, now=0))
    assert isinstance(step, Send)
    assert (step.path, "authorization" in step.headers) == ("/predict/a", False)


def test_a_busy_server_is_asked_again_after_a_pause() -> None:
    busy = received(503, {"error": "full"}, now=1.0, retry_after="2")
    found, sent, pauses = played([busy, received(200, GOOD)])
    assert isinstance(found, Predictions)
    assert pauses == [2.0]
    # Each attempt says how long the caller still waits.
    assert [step.timeout_s for step in sent] == [10.0, 7.0]


def test_pauses_grow() -> None:
    _, _, pauses = played([received(0)] * 5, retries=4)
    assert pauses == [0.1, 0.2, 0.4, 0.8]


def test_no_attempt_begins_after_the_time_is_over() -> None:
    found, sent, _ = played([received(503, now=9.5, retry_after="3600")])
    assert isinstance(found, ServerBusy)
    assert len(sent) == 1


def test_the_last_error_is_raised() -> None:
    found, sent, _ = played([received(0), received(0)], retries=1)
    assert isinstance(found, ServerUnreachable)
    assert (str(found), len(sent)) == ("refused", 2)


def test_a_refusal_is_not_tried_again() -> None:
    found, sent, _ = played([received(400, {"error": "bad"})])
    assert isinstance(found, RequestRefused)
    assert (str(found), found.status, len(sent)) == ("bad", 400, 1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (401, NotAllowed),
        (403, NotAllowed),
        (404, NotServed),
        (413, RequestRefused),
        (421, NotAllowed),
        (429, ServerBusy),
        (500, ServerFailed),
        (502, ServerFailed),
        (503, ServerBusy),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[ServingError]) -> None:
    found = error_of(received(status, {"error": "why"}))
    assert type(found) is kind
    assert (str(found), found.status) == ("why", status)


def test_broken_rows_have_findings() -> None:
    findings = [{"row": 1, "field": "x", "rule": "x.min", "value": -1, "message": "too small"}]
    found = error_of(received(422, {"error": "broken", "findings": findings, "count": 9}))
    assert isinstance(found, RowsRefused)
    assert (found.findings, found.count) == (tuple(findings), 9)


@pytest.mark.parametrize(
    "document", [{"error": "x"}, {"error": "x", "findings": "odd", "count": "odd"}]
)
def test_findings_that_are_missing_are_none(document: Mapping[str, Any]) -> None:
    found = error_of(received(422, document))
    assert isinstance(found, RowsRefused)
    assert (found.findings, found.count) == ((), 0)


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b""])
def test_an_error_of_a_proxy_says_its_status(body: bytes) -> None:
    assert str(error_of(Received(status=502, body=body, now=0.0))) == "status 502"


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"{}", b'{"predictions": 1}'])
def test_a_reply_of_another_server_is_an_error(body: bytes) -> None:
    found, _, _ = played([Received(status=200, body=body, now=0.0)])
    assert isinstance(found, ServerFailed)
    assert "isn't one of Tidemill" in str(found)


def test_explanations_are_asked_for_in_the_query() -> None:
    request = ClientRequest(endpoint="a", body=b"[]", explain=True)
    assert request.path == "/predict/a?explain=true"


def test_the_text_of_predictions_shows_the_first() -> None:
    def text(count: int) -> str:
        rows = tuple({"prediction": number} for number in range(count))
        return repr(Predictions(rows=rows, model="m", version="v"))

    assert text(1) == "Predictions({'prediction': 0}; m v)"
    assert text(5).endswith("{'prediction': 2}, and 2 more; m v)")


def test_a_certificate_that_isnt_trusted_says_how_to_trust_it() -> None:
    assert unreachable("http://x:1", "refused") == "http://x:1 can't be reached: refused"
    assert "SSL_CERT_FILE" in unreachable("https://x:1", "[SSL: CERTIFICATE_VERIFY_FAILED] no")
