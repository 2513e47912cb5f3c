"""FlatBuffers tables are read only within their bytes."""

from __future__ import annotations

import struct

import pytest

from tidemill.serving.arrow_messages import DamagedStream, FlatTable, read_messages


def table(*fields: bytes) -> FlatTable:
    """A table whose fields are four bytes each; offsets count from the field."""
    width = len(fields)
    places = [4 + 4 * at for at in range(width)]
    entries = struct.pack(f"<HH{width}H", 4 + 2 * width, 4 + 4 * width, *places)
    entries += bytes(-len(entries) % 4)
    return FlatTable(entries + struct.pack("<i", len(entries)) + b"".join(fields), len(entries))


def test_fields_have_defaults() -> None:
    found = table(struct.pack("<i", 7))
    assert found.integer(0, "i") == 7
    assert found.integer(5, "i", 3) == 3
    assert found.table(5) is None
    assert found.text(5) == ""
    assert found.tables(5) == []
    assert found.records(5, "q") == []


def with_text(size: int, text: bytes) -> FlatTable:
    found = table(struct.pack("<I", 4))
    return FlatTable(found.data + struct.pack("<I", size) + text, found.at)


def test_text_must_be_complete() -> None:
    assert with_text(2, b"ab").text(0) == "ab"
    with pytest.raises(DamagedStream, match="a name is cut off"):
        with_text(3, b"ab").text(0)
    with pytest.raises(DamagedStream, match="a name isn't UTF-8"):
        with_text(1, b"\xff").text(0)


def test_lists_must_be_complete() -> None:
    assert with_text(1, bytes(8)).records(0, "q") == [(0,)]
    with pytest.raises(DamagedStream, match="a list is cut off"):
        with_text(2, bytes(8)).records(0, "q")
    with pytest.raises(DamagedStream, match="it has 20,000 fields"):
        with_text(20_000, b"").tables(0)


@pytest.mark.parametrize("at", [-5, 0, 100])
def test_offsets_stay_within_the_bytes(at: int) -> None:
    with pytest.raises(DamagedStream, match="an offset points outside of it"):
        FlatTable(struct.pack("<i", 50), at).integer(0, "i")


def test_nothing_follows_the_end_of_a_stream() -> None:
    end = b"\xff\xff\xff\xff" + bytes(4)
    assert list(read_messages(end)) == []
    with pytest.raises(DamagedStream, match="goes on after its end"):
        list(read_messages(end + b"x"))
    with pytest.raises(DamagedStream, match="the message at byte 0 is cut off"):
        list(read_messages(b"\xff\xff\xff\xff\xff\0\0\0"))
