"""Read an Arrow IPC stream of columns that aren't nested as a Polars frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

import polars as pl

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.arrow_buffers import ArrowBuffers
from tidemill.serving.arrow_messages import (
    BATCH,
    DICTIONARY,
    SCHEMA,
    DamagedStream,
    FlatTable,
    read_messages,
)
from tidemill.serving.arrow_types import ArrowField, read_field
from tidemill.serving.errors import BadRequest, PayloadTooLarge
from tidemill.serving.rows import RequestLimits


def read_arrow_stream(stream: bytes, limits: RequestLimits) -> pl.DataFrame:
    """Return the rows of a stream.

    Raises BadRequest for a stream that is damaged, compressed or has nested columns, and PayloadTooLarge for
    one with too many rows or with more text than the limit of bytes.
    """
    reader = _StreamReader(limits)
    for message in read_messages(stream):
        reader.add(message.kind, message.header, message.body)
    return reader.frame()


@dataclass(slots=True)
class _StreamReader:
    limits: RequestLimits
    fields: Sequence[ArrowField] = ()
    rows: int = 0
    _parts: list[list[pl.Series]] = field(default_factory=list)
    _dictionaries: dict[int, pl.Series] = field(default_factory=dict)

    def add(self, kind: int, header: FlatTable, body: bytes) -> None:
        """Add a message."""
        match kind:
            case _ if kind == SCHEMA and not self.fields:
                self.fields = _read_schema(header)
            case _ if kind == DICTIONARY and self.fields:
                self._add_dictionary(header, body)
            case _ if kind == BATCH and self.fields:
                self._parts.append(self._batch(header, body, self.fields, use_dictionaries=True))
            case _:
                raise DamagedStream(f"there is a message of kind {kind} where none belongs")

    def frame(self) -> pl.DataFrame:
        """Return all rows."""
        if not self.fields:
            raise DamagedStream("it has no schema")
        if not self.rows:
            raise BadRequest("the request has no rows")
        columns = zip(*self._parts, strict=True)
        return pl.DataFrame([pl.concat(list(parts), rechunk=True) for parts in columns])

    def _add_dictionary(self, header: FlatTable, body: bytes) -> None:
        key, data = header.integer(0, "q"), header.table(1)
        owners = [item for item in self.fields if item.dictionary == key]
        if not owners or data is None:
            raise DamagedStream(f"no column has the dictionary {key}")
        values = replace(owners[0], dictionary=None)
        (series,) = self._batch(data, body, [values], use_dictionaries=False)
        if header.integer(2, "?") and key in self._dictionaries:
            series = pl.concat([self._dictionaries[key], series])
        self._dictionaries[key] = series

    def _batch(
        self,
        header: FlatTable,
        body: bytes,
        fields: Sequence[ArrowField],
        *,
        use_dictionaries: bool,
    ) -> list[pl.Series]:
        if header.table(3) is not None:
            raise BadRequest(
                "the Arrow stream has compressed buffers: write it without compression, and compress the "
                "whole body with Content-Encoding: gzip"
            )
        length = header.integer(0, "q")
        if use_dictionaries:
            self.rows += length
        if length < 0 or max(length, self.rows) > self.limits.rows:
            raise PayloadTooLarge.of_rows(max(length, self.rows), self.limits.rows)
        buffers = ArrowBuffers(
            body,
            nodes=header.records(1, "qq"),
            places=header.records(2, "qq"),
            variadic=[count for (count,) in header.records(4, "q")],
            most_bytes=self.limits.bytes,
        )
        return [self._column(item, buffers, length) for item in fields]

    def _column(self, item: ArrowField, buffers: ArrowBuffers, length: int) -> pl.Series:
        if item.dictionary is None:
            return buffers.read(item, length)
        known = self._dictionaries.get(item.dictionary)
        if known is None:
            raise DamagedStream(f"column {item.name!r} has no dictionary")
        return buffers.look_up(item, known, length)


def _read_schema(header: FlatTable) -> list[ArrowField]:
    if header.integer(0, "h"):
        raise BadRequest("the Arrow stream is big-endian: write it in little-endian")
    fields = [read_field(table) for table in header.tables(1)]
    seen: set[str] = set()
    for item in fields:
        if item.name in seen:
            raise BadRequest(f"the Arrow stream has two columns {item.name!r}")
        seen.add(item.name)
    if not fields:
        raise BadRequest("the Arrow stream has no columns")
    return fields
