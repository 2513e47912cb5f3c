import sqlite3
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.codec.events import encode_event
from tidemill.adapters.sqlite import packed_text
from tidemill.adapters.sqlite.packed_text import is_packed, pack, unpack
from tidemill.adapters.sqlite.stamps import DamagedTextError, read_text, stamp, unstamp
from tidemill.testing.damage import damaged
from tidemill.testing.records import events_of_every_kind


@given(st.text())
def test_texts_are_packed_and_unpacked(text: str) -> None:
    packed = pack(text)
    assert unpack(packed) == unstamp(packed) == text
    assert is_packed(packed)
    assert not is_packed(stamp(text))
    assert not is_packed(stamp(text).encode())


def test_what_was_packed_stays_readable() -> None:
    """A ledger holds bodies that were packed with this dictionary: another one needs another mark."""
    known = sha256(packed_text._DICTIONARY).hexdigest()
    assert known[:16] == "6bee00216baba32f"


def test_typical_bodies_become_small() -> None:
    bodies = [encode_event(event) for event in events_of_every_kind()]
    assert sum(len(pack(body)) for body in bodies) < 0.5 * sum(map(len, bodies))


def test_damage_is_noticed() -> None:
    packed = pack(encode_event(events_of_every_kind()[0]))
    for bad in damaged(packed[1:], 300):
        with pytest.raises(DamagedTextError, match="isn't what was stored"):
            unstamp(packed[:1] + bad)
    for bad in (packed[:-1], packed + b"x", packed[:3]):
        with pytest.raises(DamagedTextError):
            unstamp(bad)


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
