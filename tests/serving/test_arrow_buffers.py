"""Buffers of an Arrow record batch are read only where they are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tidemill.serving.arrow_buffers import ArrowBuffers
from tidemill.serving.arrow_messages import DamagedStream
from tidemill.serving.arrow_types import DECIMAL, LARGE_TEXT, TEXT, TEXT_VIEW, ArrowField


def read(
    field: ArrowField, body: bytes, places: list[tuple[int, int]], rows: int = 1, variadic: Any = ()
) -> list[Any]:
    buffers = ArrowBuffers(
        body, nodes=[(rows, 0)], places=places, variadic=list(variadic), most_bytes=100
    )
    return buffers.read(field, rows).to_list()


NUMBER = ArrowField(name="x", kind="<i4", dtype=pl.Int32())
WORDS = ArrowField(name="x", kind=TEXT, dtype=pl.String())
LARGE = ArrowField(name="x", kind=LARGE_TEXT, dtype=pl.String())
VIEWS = ArrowField(name="x", kind=TEXT_VIEW, dtype=pl.String())
EXACT = ArrowField(name="x", kind=DECIMAL, dtype=pl.Decimal(3, 1))
VIEW = (20).to_bytes(4, "little") + b"abcd" + bytes(4) + bytes(4)


def test_buffers_are_read_in_turn() -> None:
    assert read(NUMBER, b"\x05\0\0\0", [(0, 0), (0, 4)]) == [5]
    assert read(NUMBER, b"\x05\0\0\0\x06\0\0\0\x02", [(8, 1), (0, 8)], rows=2) == [None, 6]
    assert read(EXACT, (-125).to_bytes(16, "little", signed=True), [(0, 0), (0, 16)]) == [
        Decimal("-12.5")
    ]
    assert read(WORDS, b"", [(0, 0)] * 3, rows=0) == []
    assert read(VIEWS, VIEW + b"x" * 20, [(0, 0), (0, 16), (16, 20)], variadic=[1]) == ["x" * 20]


@pytest.mark.parametrize(
    ("field", "body", "places", "variadic", "message"),
    [
        (NUMBER, b"", [], (), "has too few buffers"),
        (NUMBER, b"", [(0, 0), (0, 4)], (), "outside of the body"),
        (NUMBER, bytes(4), [(0, 0), (-1, 4)], (), "outside of the body"),
        (NUMBER, bytes(3), [(0, 0), (0, 3)], (), "is too short"),
        (WORDS, bytes(4), [(0, 0), (0, 4), (0, 0)], (), "is too short"),
        (
            WORDS,
            bytes(4) + b"\xff\0\0\0",
            [(0, 0), (0, 8), (0, 0)],
            (),
            "offsets outside of its text",
        ),
        (LARGE, bytes(8) + b"\x01" + bytes(7), [(0, 0), (0, 16), (0, 0)], (), "offsets outside"),
        (VIEWS, VIEW, [(0, 0), (0, 16)], [-1], "has -1 buffers"),
        (VIEWS, VIEW, [(0, 0), (0, 16)], (), "text outside of its buffers"),
        (VIEWS, VIEW, [(0, 0), (0, 16), (0, 5)], [1], "text outside of its buffers"),
        (VIEWS, b"\xff" * 16, [(0, 0), (0, 16)], (), "text outside of its buffers"),
        (EXACT, bytes(15), [(0, 0), (0, 15)], (), "is too short"),
        (EXACT, b"\xff" * 8 + bytes(8), [(0, 0), (0, 16)], (), "too many digits"),
    ],
)
def test_buffers_that_are_too_short_or_elsewhere_are_refused(
    field: ArrowField, body: bytes, places: list[tuple[int, int]], variadic: Any, message: str
) -> None:
    with pytest.raises(DamagedStream, match=message):
        read(field, body, places, variadic=variadic)


def test_validity_needs_a_bit_per_row() -> None:
    with pytest.raises(DamagedStream, match="is too short"):
        read(NUMBER, bytes(40), [(0, 1), (0, 36)], rows=9)


def test_a_column_has_the_length_of_its_batch() -> None:
    buffers = ArrowBuffers(b"", nodes=[(2, 0)], places=[], variadic=[], most_bytes=1)
    with pytest.raises(DamagedStream, match="another length"):
        buffers.read(NUMBER, 1)
