"""Find the column chunks of a Parquet file in its footer, which is encoded as Thrift's compact protocol.

Only what is needed to find them is decoded; see the structs in parquet.thrift of the Parquet format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

# The field numbers of the structs.
_ROW_GROUPS = 4
_COLUMNS = 1
_META_DATA = 3
_PATH, _COMPRESSED, _DATA_PAGE, _DICTIONARY_PAGE = 3, 7, 9, 11

_STOP, _TRUE, _FALSE, _STRUCT, _MAP = 0, 1, 2, 12, 11


class ColumnChunk(NamedTuple):
    """The chunk of a top-level column in a row group, and the offset where it ends."""

    column: str
    group: int
    end: int


def column_chunks(footer: bytes) -> list[ColumnChunk]:
    """The column chunks that a footer (without its length and the magic bytes) lists, group by group."""
    found = []
    for number, group in enumerate(_Reader(footer).struct()[_ROW_GROUPS]):
        for column in group[_COLUMNS]:
            data = column[_META_DATA]
            # A dictionary stands before the pages that use it.
            start = data.get(_DICTIONARY_PAGE) or data[_DATA_PAGE]
            name = data[_PATH][0].decode("utf-8", "surrogatepass")
            found.append(ColumnChunk(name, number, start + data[_COMPRESSED]))
    return found


class _Reader:
    """Reads values of the compact protocol: structs as dicts by field number, text as bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while (head := self._byte()) != _STOP:
            kind, step = head & 15, head >> 4
            number = number + step if step else self._integer()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        return _READERS[kind](self)

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _bytes(self) -> bytes:
        length = self._varint()
        self._at += length
        return self._data[self._at - length : self._at]

    def _float(self) -> bytes:
        self._at += 8
        return self._data[self._at - 8 : self._at]

    def _list(self) -> list[Any]:
        head = self._byte()
        kind, count = head & 15, head >> 4
        return [self._value(kind) for _ in range(self._varint() if count == 15 else count)]

    def _map(self) -> dict[Any, Any]:
        count = self._varint()
        kinds = self._byte() if count else 0
        return {self._value(kinds >> 4): self._value(kinds & 15) for _ in range(count)}


_READERS: Mapping[int, Callable[[_Reader], Any]] = {
    _TRUE: _Reader._byte,
    _FALSE: _Reader._byte,
    3: _Reader._byte,
    4: _Reader._integer,
    5: _Reader._integer,
    6: _Reader._integer,
    7: _Reader._float,
    8: _Reader._bytes,
    9: _Reader._list,
    10: _Reader._list,
    _MAP: _Reader._map,
    _STRUCT: _Reader.struct,
}
