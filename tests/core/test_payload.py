"""Payloads are counted in bytes, whatever their items are."""

from __future__ import annotations

from array import array

from tidemill.core.payload import byte_count


def test_bytes_are_counted() -> None:
    assert [byte_count(p) for p in (b"", b"ab", bytearray(3), array("d", [1.0, 2.0]))] == [
        0,
        2,
        3,
        16,
    ]
