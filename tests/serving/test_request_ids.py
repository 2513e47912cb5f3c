from __future__ import annotations

import pytest

from tidemill.serving.request_ids import RequestIds


def test_a_sane_id_is_taken_and_another_one_replaced() -> None:
    ids = RequestIds("a1b2")
    assert ids.choose(b"018f3c0a-7b1c:retry=1") == b"018f3c0a-7b1c:retry=1"
    assert ids.choose(None) == b"a1b2-1"
    assert ids.choose(None) == b"a1b2-2"


@pytest.mark.parametrize(
    "sent", [b"", b"a b", b"a\r\nX: y", b'"', b"\x1b[2J", b"a" * 129, b"\xc3\xa9"]
)
def test_an_odd_id_is_replaced(sent: bytes) -> None:
    assert RequestIds("a").choose(sent) == b"a-1"
