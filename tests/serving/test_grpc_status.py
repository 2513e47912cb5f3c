"""How gRPC says what HTTP says by a status and a header."""

from __future__ import annotations

from urllib.parse import unquote

import grpc  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.errors import BadRequest
from tidemill.serving.grpc_status import encode_message, status_code, timeout_ms


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, grpc.StatusCode.INVALID_ARGUMENT),
        (401, grpc.StatusCode.UNAUTHENTICATED),
        (403, grpc.StatusCode.PERMISSION_DENIED),
        (404, grpc.StatusCode.NOT_FOUND),
        (405, grpc.StatusCode.UNIMPLEMENTED),
        (408, grpc.StatusCode.DEADLINE_EXCEEDED),
        (413, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (415, grpc.StatusCode.UNIMPLEMENTED),
        (421, grpc.StatusCode.PERMISSION_DENIED),
        (422, grpc.StatusCode.INVALID_ARGUMENT),
        (429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (500, grpc.StatusCode.INTERNAL),
        (501, grpc.StatusCode.UNIMPLEMENTED),
        (503, grpc.StatusCode.UNAVAILABLE),
        # One that nobody sends today.
        (599, grpc.StatusCode.INTERNAL),
    ],
)
def test_each_status_has_a_code(status: int, code: grpc.StatusCode) -> None:
    assert status_code(status) == code.value[0]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_message_survives_the_header(text: str) -> None:
    sent = encode_message(text)
    assert all(0x20 <= byte < 0x7F for byte in sent)
    assert unquote(sent.decode()) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 5000))
def test_a_long_message_is_cut_between_characters(text: str, times: int) -> None:
    sent = encode_message(text * times)
    assert len(sent) <= 4_100
    shown = unquote(sent.decode(), errors="strict")
    assert shown == text * times or (text * times).startswith(shown.removesuffix("..."))


@pytest.mark.parametrize(
    ("header", "milliseconds"),
    [
        (b"1H", 3_600_000.0),
        (b"2M", 120_000.0),
        (b"5S", 5_000.0),
        (b"99999999m", 99_999_999.0),
        (b"1500u", 1.5),
        (b"1n", 1e-6),
        # No time at all: it has passed.
        (b"0S", 1e-6),
    ],
)
def test_a_deadline_is_read(header: bytes, milliseconds: float) -> None:
    assert timeout_ms(header) == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "header", [b"", b"5", b"S", b"-1S", b"1.5S", b"123456789S", b"1s ", b"1_0S", b"5X"]
)
def test_what_is_no_deadline_is_refused(header: bytes) -> None:
    with pytest.raises(BadRequest, match="grpc-timeout"):
        timeout_ms(header)
