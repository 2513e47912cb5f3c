"""Frames that are too long are noticed by their heads, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.frame_lengths import LONGEST, FrameLengths

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(length: int) -> bytes:
    return length.to_bytes(3, "big") + bytes(6 + length)


def takes(sent: bytes, pieces: list[int]) -> bool:
    lengths, at = FrameLengths(), 0
    for piece in [*pieces, len(sent)]:
        if not lengths.take(sent[at : at + piece]):
            return False
        at += piece
    return True


PIECES = st.lists(st.integers(0, 200), max_size=100)


@given(st.lists(st.one_of(st.integers(0, 40), st.just(LONGEST)), max_size=8), PIECES)
def test_frames_as_long_as_allowed_are_taken(lengths: list[int], pieces: list[int]) -> None:
    assert takes(PREFACE + b"".join(map(frame, lengths)), pieces)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(LONGEST + 1, 2**24 - 1), PIECES)
def test_a_longer_one_is_noticed_by_its_head(
    lengths: list[int], longer: int, pieces: list[int]
) -> None:
    sent = PREFACE + b"".join(map(frame, lengths)) + longer.to_bytes(3, "big")
    assert not takes(sent, pieces)


@pytest.mark.parametrize("size", [1, 2, 3, 9, 10, 1000])
def test_what_is_within_a_frame_is_no_head(size: int) -> None:
    sent = PREFACE + (size).to_bytes(3, "big") + bytes(6) + b"\xff" * size + frame(0)
    assert takes(sent, [1] * len(sent))
