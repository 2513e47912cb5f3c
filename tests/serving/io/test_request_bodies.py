"""Bodies that may take long are decoded off the event loop."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from tidemill.serving.io.cpu_watch import CpuWatch
from tidemill.serving.io.request_bodies import RequestBody, decode_request
from tidemill.serving.rows import RequestLimits

GZIP = {b"content-encoding": b"gzip"}


@pytest.mark.parametrize(
    ("payload", "headers", "is_inline"),
    [(b"[]", {}, True), (b" " * 100_001, {}, False), (gzip.compress(b" " * 100_001), GZIP, False)],
)
def test_large_and_compressed_bodies_are_decoded_in_a_thread(
    payload: bytes, headers: Mapping[bytes, bytes], is_inline: bool
) -> None:
    def decode(body: bytes, *, partial: bool) -> int:
        return threading.get_ident()

    schema: Any = SimpleNamespace(limits=RequestLimits(), decode_rows=decode)
    body = RequestBody(
        payload, {b"content-type": b"application/json", **headers}, b"", is_infer=False
    )
    found: Any = asyncio.run(decode_request(schema, body, CpuWatch()))
    assert (found == threading.get_ident()) is is_inline
