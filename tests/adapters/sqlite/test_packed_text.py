import json
import re
import sqlite3
import zlib
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.codec.events import encode_event
from tidemill.adapters.sqlite import packed_text
from tidemill.adapters.sqlite.packed_text import is_packed, pack, unpack
from tidemill.adapters.sqlite.stamps import DamagedTextError, read_text, stamp, unstamp
from tidemill.testing.damage import damaged
from tidemill.testing.records import events_of_every_kind, published_event

HEX = st.integers(1, 70).flatmap(lambda n: st.text("0123456789abcdef", min_size=n, max_size=n))
DIGEST = st.sampled_from([8, 32, 64]).flatmap(
    lambda n: st.text("0123456789abcdef", min_size=n, max_size=n)
)
# Digests beside all that may stand around them, also what stands for one in a packed text.
PIECES = st.one_of(
    DIGEST, HEX, st.sampled_from(['"', ".", '":"', "\x10", "\x11", "\x12", "é", "F"])
)
BODIES = st.lists(PIECES, max_size=30).map("".join)


@given(st.one_of(st.text(), BODIES, st.lists(DIGEST).map(lambda each: json.dumps(each))))
def test_texts_are_packed_and_unpacked(text: str) -> None:
    packed = pack(text)
    assert unpack(packed) == unstamp(packed) == text
    assert is_packed(packed)
    assert not is_packed(stamp(text))
    assert not is_packed(stamp(text).encode())


@given(BODIES)
def test_digests_stand_as_bytes_after_the_text(text: str) -> None:
    """Those of 8, 32 or 64 digits between a quote and a quote or a point, wherever they are."""
    marks = {8: "\x12", 32: "\x11", 64: "\x10"}
    plain, digests = text, ""
    if not any(mark in text for mark in marks.values()):
        pieces = re.split('(?<=")([0-9a-f]{32}|[0-9a-f]{64}|[0-9a-f]{8})(?=[".])', text)
        digests = "".join(pieces[1::2])
        pieces[1::2] = [marks[len(digest)] for digest in pieces[1::2]]
        plain = "".join(pieces)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=packed_text._DICTIONARY)
    packed = packer.compress(plain.encode()) + packer.flush() + bytes.fromhex(digests)
    assert pack(text) == b"\xfe" + zlib.crc32(text.encode()).to_bytes(4, "big") + packed


def packed_before(text: str) -> bytes:
    """A text as programs before schema 17 packed it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=packed_text._OLD_DICTIONARY)
    checksum = zlib.crc32(text.encode()).to_bytes(4, "big")
    return b"\xff" + checksum + packer.compress(text.encode()) + packer.flush()


@given(st.one_of(st.text(), BODIES))
def test_what_was_packed_before_is_unpacked(text: str) -> None:
    assert is_packed(packed_before(text))
    assert unstamp(packed_before(text)) == text
    with pytest.raises(DamagedTextError):
        unstamp(packed_before(text) + b"x")


def test_what_was_packed_stays_readable() -> None:
    """A ledger holds bodies that were packed with these dictionaries: another one needs another mark."""
    known = [
        sha256(dictionary).hexdigest()[:16]
        for dictionary in (packed_text._OLD_DICTIONARY, packed_text._DICTIONARY)
    ]
    assert known == ["6bee00216baba32f", "baf1c74fc3d4e316"]


def test_typical_bodies_become_small() -> None:
    bodies = [encode_event(event) for event in events_of_every_kind()]
    assert sum(len(pack(body)) for body in bodies) < 0.5 * sum(map(len, bodies))


def test_digests_take_half_of_their_digits() -> None:
    digests = [sha256(bytes([number])).hexdigest() for number in range(100)]
    packed = pack(json.dumps([text for each in digests for text in (each, each[:32], each[:8])]))
    assert len(packed) < 1.1 * 100 * (32 + 16 + 4)


def test_damage_is_noticed() -> None:
    """Some bits of a packed text mean nothing: without any of them it is the same text."""
    text = encode_event(published_event("2013-03-07"))
    packed = pack(text)
    for bad in damaged(packed[1:], 300):
        assert read_damaged(packed[:1] + bad) in (None, text)
    for place in range(1, len(packed)):
        for bit in range(8):
            flipped = bytes([packed[place] ^ 1 << bit])
            assert read_damaged(packed[:place] + flipped + packed[place + 1 :]) in (None, text)
    for bad in (packed[:-1], packed + b"x", packed[:3], packed[:-16]):
        with pytest.raises(DamagedTextError, match="isn't what was stored"):
            unstamp(bad)


def read_damaged(packed: bytes) -> str | None:
    """The text of a packed one that was damaged; None if that is noticed."""
    with suppress(DamagedTextError):
        return unstamp(packed)
    return None


def test_texts_are_read_from_connections_of_both_kinds() -> None:
    connection = sqlite3.connect(":memory:")
    for factory in (str, bytes):
        connection.text_factory = factory
        text, blob, nothing = connection.execute(
            "SELECT ?, ?, NULL", (stamp("a"), pack("b"))
        ).fetchone()
        assert unstamp(read_text(text)) == "a"
        assert unstamp(read_text(blob)) == "b"
        assert read_text(nothing) is None
    connection.close()
