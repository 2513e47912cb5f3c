from __future__ import annotations

import json

import pytest

from tidemill.serving.overload_reply import BODY, MESSAGE, overload_reply


@pytest.mark.parametrize("closes", [False, True])
def test_the_reply_is_a_whole_one(closes: bool) -> None:
    found = overload_reply(b"a-1", [(b"vary", b"Origin")], closes=closes)
    head, _, body = found.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ") for line in lines)
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert headers == {
        b"content-type": b"application/json",
        b"content-length": b"%d" % len(body),
        b"retry-after": b"1",
        b"x-request-id": b"a-1",
        b"vary": b"Origin",
        **({b"connection": b"close"} if closes else {}),
    }
    assert body == BODY
    assert json.loads(body) == {"error": MESSAGE}
