"""Read the columns of a record batch from its buffers, with all bounds checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from tidemill.serving.arrow_messages import DamagedStream
from tidemill.serving.arrow_types import (
    BOOL,
    DECIMAL,
    LARGE_TEXT,
    NULL,
    TEXT_VIEW,
    TEXTS,
    ArrowField,
)
from tidemill.serving.errors import BadRequest, PayloadTooLarge

_INLINE = 12
_VIEW = np.dtype([("size", "<i4"), ("inline", "V4"), ("buffer", "<i4"), ("at", "<i4")])


class ArrowBuffers:
    """The nodes and buffers of a record batch, which its columns take in turn."""

    def __init__(
        self,
        body: bytes,
        *,
        nodes: Sequence[tuple[int, ...]],
        places: Sequence[tuple[int, ...]],
        variadic: Sequence[int],
        most_bytes: int,
    ) -> None:
        self._body = body
        self._nodes = iter(nodes)
        self._places = iter(places)
        self._variadic = iter(variadic)
        self._left = most_bytes

    def read(self, field: ArrowField, length: int) -> pl.Series:
        """Return the next column, which has no dictionary."""
        self._take_node(field, length)
        if field.kind == NULL:
            return pl.Series(field.name, [None] * length, dtype=pl.Null)
        valid = self._validity(field, length)
        if field.kind in TEXTS:
            texts = self._texts(field, length)
            values = [text if ok else None for ok, text in zip(valid, texts, strict=True)]
            return pl.Series(field.name, values, dtype=field.dtype)
        if field.kind == DECIMAL:
            return self._decimals(field, length, valid)
        if field.kind == BOOL:
            items: Any = self._bits(field, length)
        else:
            items = self._numbers(field, field.kind, length)
        return _series(field, items, valid)

    def look_up(self, field: ArrowField, known: pl.Series, length: int) -> pl.Series:
        """Return the next column, whose items are positions in a dictionary."""
        self._take_node(field, length)
        valid = self._validity(field, length)
        positions = self._numbers(field, field.index, length)
        values = known.to_list()
        used = [int(at) for ok, at in zip(valid, positions.tolist(), strict=True) if ok]
        if used and not 0 <= min(used) <= max(used) < len(values):
            raise DamagedStream(f"column {field.name!r} has a position outside of its dictionary")
        self._spend(sum(len(values[at] or "") for at in used))
        found = [
            values[at] if ok else None for ok, at in zip(valid, positions.tolist(), strict=True)
        ]
        return pl.Series(field.name, found, dtype=field.dtype)

    def _take_node(self, field: ArrowField, length: int) -> None:
        node = next(self._nodes, None)
        if node is None or node[0] != length:
            raise DamagedStream(f"column {field.name!r} has another length than its batch")

    def _buffer(self, field: ArrowField) -> bytes:
        place = next(self._places, None)
        if place is None:
            raise DamagedStream(f"column {field.name!r} has too few buffers")
        offset, length = place
        if offset < 0 or length < 0 or offset + length > len(self._body):
            raise DamagedStream(f"a buffer of column {field.name!r} is outside of the body")
        return self._body[offset : offset + length]

    def _bits(self, field: ArrowField, length: int, buffer: bytes | None = None) -> Any:
        data = self._buffer(field) if buffer is None else buffer
        if len(data) * 8 < length:
            raise DamagedStream(f"a buffer of column {field.name!r} is too short")
        return np.unpackbits(np.frombuffer(data, "u1"), count=length, bitorder="little") != 0

    def _validity(self, field: ArrowField, length: int) -> list[bool]:
        """Return which items aren't null; a column without bits for that has no nulls."""
        data = self._buffer(field)
        return self._bits(field, length, data).tolist() if data else [True] * length

    def _numbers(self, field: ArrowField, kind: str, count: int) -> Any:
        return _array(field, self._buffer(field), np.dtype(kind), count)

    def _spend(self, size: int) -> None:
        """Count text that is copied: a stream may refer to the same bytes many times."""
        self._left -= size
        if self._left < 0:
            raise PayloadTooLarge(
                "the texts of the Arrow stream have more bytes than the server accepts"
            )

    def _texts(self, field: ArrowField, length: int) -> Iterator[Any]:
        read = (
            self._views(field, length) if field.kind == TEXT_VIEW else self._slices(field, length)
        )
        if field.dtype == pl.Binary:
            return read
        return (_decoded(field, item) for item in read)

    def _slices(self, field: ArrowField, length: int) -> Iterator[bytes]:
        data = self._buffer(field)
        if not length and not data:
            self._buffer(field)
            return iter(())
        kind = np.dtype("<i8" if field.kind == LARGE_TEXT else "<i4")
        offsets = _array(field, data, kind, length + 1)
        text = self._buffer(field)
        if offsets[0] < 0 or offsets[-1] > len(text) or (np.diff(offsets) < 0).any():
            raise DamagedStream(f"column {field.name!r} has offsets outside of its text")
        self._spend(len(text))
        ends = offsets.tolist()
        return (text[start:end] for start, end in pairwise(ends))

    def _views(self, field: ArrowField, length: int) -> Iterator[bytes]:
        raw = self._buffer(field)
        views = _array(field, raw, _VIEW, length)
        count = next(self._variadic, 0)
        if not 0 <= count <= len(self._body):
            raise DamagedStream(f"column {field.name!r} has {count:,} buffers")
        buffers = [self._buffer(field) for _ in range(count)]
        return self._viewed(field, raw, views, buffers)

    def _viewed(
        self, field: ArrowField, raw: bytes, views: Any, buffers: Sequence[bytes]
    ) -> Iterator[bytes]:
        sizes, numbers, starts = (views[name].tolist() for name in ("size", "buffer", "at"))
        for row, (size, number, start) in enumerate(zip(sizes, numbers, starts, strict=True)):
            self._spend(max(size, 0))
            if 0 <= size <= _INLINE:
                begin = 16 * row + 4
                yield raw[begin : begin + size]
            elif size < 0 or not 0 <= number < len(buffers) or start < 0:
                raise DamagedStream(f"column {field.name!r} refers to text outside of its buffers")
            else:
                item = buffers[number][start : start + size]
                if len(item) != size:
                    raise DamagedStream(
                        f"column {field.name!r} refers to text outside of its buffers"
                    )
                yield item

    def _decimals(self, field: ArrowField, length: int, valid: Sequence[bool]) -> pl.Series:
        data = self._buffer(field)
        if len(data) < 16 * length:
            raise DamagedStream(f"a buffer of column {field.name!r} is too short")
        assert isinstance(field.dtype, pl.Decimal)
        precision, scale = field.dtype.precision, field.dtype.scale
        values: list[Decimal | None] = []
        for row, ok in enumerate(valid):
            units = int.from_bytes(data[16 * row : 16 * row + 16], "little", signed=True)
            if ok and abs(units) >= 10**precision:
                raise DamagedStream(f"column {field.name!r} has a number with too many digits")
            values.append(_exact(units, scale) if ok else None)
        return pl.Series(field.name, values, dtype=field.dtype)


def _exact(units: int, scale: int) -> Decimal:
    """Return a number of units; arithmetic on decimals would round it to 28 digits."""
    digits = tuple(map(int, str(abs(units))))
    return Decimal((int(units < 0), digits, -scale))


def _array(field: ArrowField, data: bytes, kind: Any, count: int) -> Any:
    if len(data) < count * kind.itemsize:
        raise DamagedStream(f"a buffer of column {field.name!r} is too short")
    return np.frombuffer(data, kind, count)


def _decoded(field: ArrowField, item: bytes) -> str:
    try:
        return item.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"column {field.name!r} has text that isn't UTF-8") from None


def _series(field: ArrowField, items: Any, valid: Sequence[bool]) -> pl.Series:
    missing = ~np.array(valid, dtype=bool)
    if field.bounds is not None:
        # What null items hold doesn't matter.
        items = np.where(missing, 0, items)
        low, high = (bound // field.factor for bound in field.bounds)
        if ((items < low) | (items > high)).any():
            raise BadRequest(
                f"column {field.name!r} has times outside of the years 1 to 9999, or of a day"
            )
        items = items.astype("<i8") * field.factor
    series = pl.Series(field.name, items)
    if missing.any():
        series = series.set(pl.Series(missing), None)
    return series.cast(field.dtype)
