"""Parse the messages of an Arrow IPC stream: schema, dictionaries and record batches.

Every offset and length of the stream is checked, because Polars' reader ends the process for some damaged
streams. The format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format; metadata are
FlatBuffers tables (https://flatbuffers.dev/internals/).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.errors import BadRequest

SCHEMA, DICTIONARY, BATCH = 1, 2, 3
_CONTINUES = b"\xff\xff\xff\xff"
_MOST_FIELDS = 10_000


class DamagedStream(BadRequest):
    """The body isn't an Arrow IPC stream, or it is damaged."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the body isn't a complete Arrow IPC stream: {problem}")


@dataclass(frozen=True, slots=True)
class FlatTable:
    """A FlatBuffers table; fields are numbered as in Arrow's schema files."""

    data: bytes
    at: int

    def integer(self, field: int, form: str, default: int = 0) -> int:
        """Return a number; `form` is its code in `struct`."""
        place = self._place(field)
        return default if place is None else _unpack(self.data, form, place)

    def table(self, field: int) -> FlatTable | None:
        """Return a table that a field refers to."""
        place = self._place(field)
        return None if place is None else FlatTable(self.data, self._follow(place))

    def text(self, field: int) -> str:
        """Return text; empty if it isn't there."""
        place = self._place(field)
        if place is None:
            return ""
        at = self._follow(place)
        size = _unpack(self.data, "I", at)
        found = self.data[at + 4 : at + 4 + size]
        if len(found) != size:
            raise DamagedStream("a name is cut off")
        try:
            return found.decode()
        except UnicodeDecodeError:
            raise DamagedStream("a name isn't UTF-8") from None

    def tables(self, field: int) -> list[FlatTable]:
        """Return the tables of a vector."""
        start, count = self._vector(field)
        if count > _MOST_FIELDS:
            raise DamagedStream(f"it has {count:,} fields")
        places = (start + 4 * number for number in range(count))
        return [FlatTable(self.data, self._follow(place)) for place in places]

    def records(self, field: int, form: str) -> list[tuple[int, ...]]:
        """Return the structs of a vector."""
        start, count = self._vector(field)
        size = struct.calcsize("<" + form)
        if start + count * size > len(self.data):
            raise DamagedStream("a list is cut off")
        return list(struct.iter_unpack("<" + form, self.data[start : start + count * size]))

    def _vector(self, field: int) -> tuple[int, int]:
        place = self._place(field)
        if place is None:
            return 0, 0
        at = self._follow(place)
        return at + 4, _unpack(self.data, "I", at)

    def _place(self, field: int) -> int | None:
        """Return where a field is; None if the table doesn't have it."""
        entries = self.at - _unpack(self.data, "i", self.at)
        size = _unpack(self.data, "H", entries)
        entry = 4 + 2 * field
        if entry + 2 > size:
            return None
        offset = _unpack(self.data, "H", entries + entry)
        return self.at + offset if offset else None

    def _follow(self, place: int) -> int:
        return place + _unpack(self.data, "I", place)


def _unpack(data: bytes, form: str, at: int) -> int:
    if at < 0:
        raise DamagedStream("an offset points outside of it")
    try:
        found: int = struct.unpack_from("<" + form, data, at)[0]
    except struct.error:
        raise DamagedStream("an offset points outside of it") from None
    return found


@dataclass(frozen=True, slots=True)
class Message:
    """A message: its kind, its header, and the bytes of its buffers."""

    kind: int
    header: FlatTable
    body: bytes


def read_messages(stream: bytes) -> Iterator[Message]:
    """Yield the messages of a stream; DamagedStream if it isn't one."""
    at = 0
    while at < len(stream):
        if stream[at : at + 4] != _CONTINUES:
            raise DamagedStream(f"no message begins at byte {at:,}")
        size = _unpack(stream, "i", at + 4)
        if size == 0:
            if at + 8 != len(stream):
                raise DamagedStream("it goes on after its end")
            return
        start = at + 8
        if size < 0 or start + size > len(stream):
            raise DamagedStream(f"the message at byte {at:,} is cut off")
        metadata = stream[start : start + size]
        root = FlatTable(metadata, _unpack(metadata, "I", 0))
        header = root.table(2)
        length = root.integer(3, "q")
        begin = start + size
        if header is None or length < 0 or begin + length > len(stream):
            raise DamagedStream(f"the message at byte {at:,} is cut off")
        yield Message(root.integer(1, "B"), header, stream[begin : begin + length])
        at = begin + length
