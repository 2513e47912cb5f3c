"""Types of Arrow columns: those that aren't read are named."""

from __future__ import annotations

import struct

import pytest

from tests.serving.test_arrow_messages import table
from tidemill.serving.arrow_messages import DamagedStream, FlatTable
from tidemill.serving.arrow_types import read_field
from tidemill.serving.errors import BadRequest


def field(code: int, *numbers: int) -> FlatTable:
    """A field without a name, of a type whose own fields are these numbers."""
    kind = table(*(struct.pack("<i", number) for number in numbers))
    start = table(bytes(4), bytes(4), struct.pack("<i", code), bytes(4))
    data = bytearray(start.data + kind.data)
    place = start.at + 4 + 12
    struct.pack_into("<I", data, place, len(start.data) + kind.at - place)
    # The name is an empty text: it refers to four zero bytes.
    data += bytes(4)
    struct.pack_into("<I", data, start.at + 4, len(data) - 4 - start.at - 4)
    return FlatTable(bytes(data), start.at)


def test_a_type_is_read() -> None:
    found = read_field(field(2, 16, 1))
    assert (found.name, found.kind) == ("", "<i2")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (field(2, 24, 1), "integers of 24 bits"),
        (field(3, 7), "the unit 7"),
        (field(12), "Arrow's type List"),
        (field(99), "Arrow's type 99"),
        (field(7, 40, 2, 128), "decimals of 128 bits with 40 digits"),
    ],
)
def test_other_types_are_named(table: FlatTable, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read_field(table)


def test_a_field_without_a_type_is_damaged() -> None:
    with pytest.raises(DamagedStream, match="has no type"):
        read_field(table())
