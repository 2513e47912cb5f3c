"""Bodies are decompressed within a limit."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.compression import decompress
from tidemill.serving.errors import BadRequest, PayloadTooLarge, RequestError, UnsupportedMediaType

BODY = b'{"inputs": []}' * 10


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("GZIP, identity", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:50]) + gzip.compress(BODY[50:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
    ],
)
def test_a_body_is_decompressed(encoding: str, body: bytes) -> None:
    assert decompress(body, encoding, most=len(BODY)) == BODY


@pytest.mark.parametrize("bomb", [gzip.compress(bytes(10**8), 1), gzip.compress(bytes(600)) * 2])
def test_a_body_that_grows_too_large_is_refused(bomb: bytes) -> None:
    with pytest.raises(PayloadTooLarge, match="more than 1,000 bytes after decompression"):
        decompress(bomb, "gzip", most=1_000)


@pytest.mark.parametrize(
    ("encoding", "body", "message"),
    [
        ("gzip", b"xyz", "isn't gzip data"),
        ("gzip", b"", "is cut off"),
        ("gzip", gzip.compress(BODY)[:-9], "is cut off"),
        ("gzip", gzip.compress(BODY) + b"xyz", "isn't gzip data"),
        ("deflate", b"\xff\xff", "isn't deflate data"),
        ("deflate", zlib.compress(BODY) + b"x", "goes on after its deflate data"),
    ],
)
def test_a_damaged_body_is_refused(encoding: str, body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        decompress(body, encoding, most=1_000)


@pytest.mark.parametrize("encoding", ["br", "gzip, deflate"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        decompress(b"x", encoding, most=1_000)
    assert caught.value.headers == (("accept-encoding", "gzip, deflate"),)


@given(st.binary(max_size=60), st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_raise_nothing_but_typed_errors(body: bytes, encoding: str) -> None:
    try:
        found = decompress(body, encoding, most=100)
    except RequestError:
        return
    assert len(found) <= 100


def test_many_empty_members_take_no_time_that_grows_with_their_square() -> None:
    assert decompress(gzip.compress(b"") * 100_000, "gzip", most=10) == b""
