"""The canonical form of a column: its values, independent of their layout in memory.

Every type is reduced to byte streams that are hashed as they come, so chunk and block borders don't count:

    all             the number of rows, and the positions of the nulls among them
    fixed width     the values of the rows that aren't null; every NaN is the same NaN, -0.0 stays
    Boolean         one byte each
    String, Binary  16 bytes each: the length, and up to 12 bytes, or the first 4; then the long
    List, Map       the length of each; then the elements of those that aren't null
    Array, Struct   the elements, or fields, of those that aren't null

Values under a null are dropped. Blocks are small, so that temporary arrays stay in the CPU's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from xxhash import xxh3_128, xxh3_128_digest

from tidemill.analysis.hashing.arrow_buffers import (
    Array,
    Bits,
    Mask,
    Schema,
    bits,
    buffer,
    export_buffers,
    numbers,
    packed_bits,
    validity,
)
from tidemill.core.errors import TidemillError

BLOCK = 1 << 16
INLINE = 12  # bytes of a string that fit in its view
MANY_RUNS = 64
BYTE = np.dtype("<u1")
NO_BITS = np.empty(0, np.uint8)
NO_VALUES = np.empty((0, 4), np.uint32)
NOTHING = xxh3_128_digest(b"")  # the digest of a stream without bytes


class TypeHasher:
    """Hashes the chunks of a column, or of a part of a nested column; a Null column has no values."""

    def __init__(self, layouts: Sequence[bytes], parts: Sequence[TypeHasher] = ()) -> None:
        self.layouts = layouts
        self.parts = parts
        self.array: Array | None = None
        self.validity: Bits | None = None
        self.rows = 0
        self.nulls = xxh3_128()
        self.values = xxh3_128()

    def clear(self) -> None:
        """Reset, for other rows of the same type."""
        self.rows = 0
        self.nulls.reset()
        self.values.reset()
        for part in self.parts:
            part.clear()

    def check_layout(self, schema: Schema) -> None:
        """Refuse an unexpected memory layout, which would be read as wrong values."""
        if schema.format not in self.layouts or schema.n_children != len(self.parts):
            wanted = " or ".join(layout.decode() for layout in self.layouts)
            raise TidemillError(
                f"Polars {pl.__version__} exports a column as {schema.format.decode()!r} with "
                f"{schema.n_children} parts, but {wanted!r} with {len(self.parts)} is expected; "
                "use a version of Polars that this version of Tidemill supports"
            )
        for index, part in enumerate(self.parts):
            part.check_layout(schema.children[index].contents)

    def bind(self, array: Array) -> None:
        """Take the chunk whose rows are hashed next; `release` it before its memory is gone."""
        self.array = array
        self.validity = validity(array)
        for index, part in enumerate(self.parts):
            part.bind(array.children[index].contents)

    def release(self) -> None:
        """Forget the chunk."""
        self.array = self.validity = None
        for part in self.parts:
            part.release()

    def feed(self, start: int, count: int, keep: Mask | None = None) -> None:
        """Hash `count` rows of the chunk from `start` on; rows outside the mask `keep` don't count."""
        for begin in range(0, count, BLOCK):
            size = min(BLOCK, count - begin)
            kept = None if keep is None else keep[begin : begin + size]
            self._hash_values(start + begin, size, self._live_rows(start + begin, size, kept))

    def _live_rows(self, start: int, count: int, keep: Mask | None) -> Mask | None:
        valid = self._valid_rows(start, count)
        if valid is not None:
            among = valid if keep is None else valid[keep]
            self.nulls.update((np.flatnonzero(~among) + self.rows).data)
        if keep is None:
            self.rows += count
            return valid
        self.rows += int(np.count_nonzero(keep))
        return keep if valid is None else valid & keep

    def _valid_rows(self, start: int, count: int) -> Mask | None:
        """Mask the rows that aren't null; None if no row is."""
        if self.validity is None:
            return None
        valid = bits(self.validity, self.chunk.offset + start, count)
        return None if np.count_nonzero(valid) == count else valid

    def _hash_values(self, start: int, count: int, live: Mask | None) -> None:
        """Hash the values of the live rows (None: all of them)."""

    @property
    def chunk(self) -> Array:
        """The chunk that was taken."""
        assert self.array is not None
        return self.array

    def digest(self) -> bytes:
        """The digest of all rows so far; its length depends on the type only."""
        own = self.rows.to_bytes(8, "little") + self.nulls.digest() + self.values.digest()
        return b"".join([own, *[part.digest() for part in self.parts]])

    def digest_of(self, start: int, count: int) -> bytes:
        """The digest of `count` rows of the chunk alone; nothing may have been fed since the last `clear`."""
        self.feed(start, count)
        found = self.digest()
        self.clear()
        return found


class PlainHasher(TypeHasher):
    """Values that are one stream of bytes; those of a few rows are hashed without a state."""

    def _hash_values(self, start: int, count: int, live: Mask | None) -> None:
        self.values.update(self._canonical_values(start, count, live).data)

    def _canonical_values(self, start: int, count: int, live: Mask | None) -> npt.NDArray[Any]:
        """The values of the live rows in their canonical form."""
        raise NotImplementedError

    def digest_of(self, start: int, count: int) -> bytes:
        if not 0 < count <= BLOCK:
            return super().digest_of(start, count)
        live = self._valid_rows(start, count)
        nulls = NOTHING if live is None else xxh3_128_digest(np.flatnonzero(~live).data)
        values = self._canonical_values(start, count, live)
        return count.to_bytes(8, "little") + nulls + xxh3_128_digest(values.data)


class FixedWidthHasher(PlainHasher):
    """Integers, times and decimals: their bytes, of the NumPy type `kind`."""

    def __init__(self, layouts: Sequence[bytes], kind: npt.DTypeLike) -> None:
        super().__init__(layouts)
        self.kind: np.dtype[Any] = np.dtype(kind)
        self.stored: npt.NDArray[Any] = NO_VALUES

    def bind(self, array: Array) -> None:
        super().bind(array)
        self.stored = numbers(array, 1, 0, array.length, self.kind) if array.length else NO_VALUES

    def release(self) -> None:
        super().release()
        self.stored = NO_VALUES

    def _canonical_values(self, start: int, count: int, live: Mask | None) -> npt.NDArray[Any]:
        values = self.stored[start : start + count]
        return values if live is None else values[live]


class FloatHasher(FixedWidthHasher):
    """Floats: their bytes, with all NaNs equal."""

    def _canonical_values(self, start: int, count: int, live: Mask | None) -> npt.NDArray[Any]:
        values = super()._canonical_values(start, count, live)
        nan = np.isnan(values)
        return np.where(nan, self.kind.type("nan"), values) if np.count_nonzero(nan) else values


class EnumHasher(FixedWidthHasher):
    """Enums: the positions of their categories, as 32-bit integers."""

    def __init__(self) -> None:
        super().__init__((b"C", b"S", b"I"), "<u4")

    def check_layout(self, schema: Schema) -> None:
        super().check_layout(schema)
        self.kind = np.dtype({b"C": "<u1", b"S": "<u2", b"I": "<u4"}[schema.format])

    def _canonical_values(self, start: int, count: int, live: Mask | None) -> npt.NDArray[Any]:
        return super()._canonical_values(start, count, live).astype("<u4", copy=False)


class BooleanHasher(PlainHasher):
    """Booleans: a byte each, because the position of a bit depends on the slice."""

    def __init__(self, layouts: Sequence[bytes]) -> None:
        super().__init__(layouts)
        self.stored: Bits = NO_BITS

    def bind(self, array: Array) -> None:
        super().bind(array)
        self.stored = packed_bits(array, 1) if array.length else NO_BITS

    def release(self) -> None:
        super().release()
        self.stored = NO_BITS

    def _canonical_values(self, start: int, count: int, live: Mask | None) -> npt.NDArray[Any]:
        values = bits(self.stored, self.chunk.offset + start, count)
        return values if live is None else values[live]


class TextHasher(FixedWidthHasher):
    """Strings and binary, from views: (length, 12 bytes) or (length, 4 bytes, buffer, offset)."""

    VIEW = np.dtype(("<u4", 4))

    def __init__(self, layouts: Sequence[bytes]) -> None:
        super().__init__(layouts, self.VIEW)
        # Set for a whole column, not for a part of a nested one: the column, and where the chunk begins.
        self.series: pl.Series | None = None
        self.first_row = 0
        self.long = xxh3_128()

    def clear(self) -> None:
        super().clear()
        self.long.reset()

    def release(self) -> None:
        super().release()
        self.series = None

    def _hash_values(self, start: int, count: int, live: Mask | None) -> None:
        views = self._canonical_values(start, count, live)
        long = views[:, 0] > INLINE
        if not np.count_nonzero(long):
            self.values.update(views.data)
            return
        plain = views.copy()
        plain.view("<u8")[:, 1] *= ~long  # the buffer and the offset aren't part of the value
        self.values.update(plain.data)
        self._hash_long(views[long].astype(np.int64), start, count)

    def _hash_long(self, views: npt.NDArray[np.int64], start: int, count: int) -> None:
        """Hash the long values in order, with one update per run that is contiguous in memory."""
        owners, starts = views[:, 2], views[:, 3]
        stops = starts + views[:, 0]
        breaks = np.flatnonzero((owners[1:] != owners[:-1]) | (starts[1:] != stops[:-1]))
        if len(breaks) >= MANY_RUNS and self.series is not None:
            self._hash_scattered(self.series.slice(self.first_row + start, count))
            return
        firsts = [0, *(breaks + 1).tolist()]
        lasts = [*breaks.tolist(), len(views) - 1]
        for owner, begin, stop in zip(
            owners[firsts].tolist(), starts[firsts].tolist(), stops[lasts].tolist(), strict=True
        ):
            self.long.update(buffer(self.chunk, 2 + owner, stop)[begin:])

    def _hash_scattered(self, scattered: pl.Series) -> None:
        """Hash scattered long values after Polars has packed them: five times as fast as one by one."""
        binary = scattered.cast(pl.Binary)
        packed = binary.filter(binary.bin.size() > INLINE).cast(pl.List(pl.UInt8))
        with export_buffers(packed) as (_, chunks):
            for array in chunks:
                bounds = numbers(array, 1, 0, array.length + 1, np.dtype("<i8"))
                first, last = bounds[[0, -1]].tolist()
                values = numbers(array.children[0].contents, 1, first, last - first, BYTE)
                self.long.update(values.data)

    def digest(self) -> bytes:
        return super().digest() + self.long.digest()

    def digest_of(self, start: int, count: int) -> bytes:
        # Views of nulls may be long as well.
        lengths = self.stored[start : start + count, 0]
        if not 0 < count <= BLOCK or np.count_nonzero(lengths > INLINE):
            return TypeHasher.digest_of(self, start, count)
        return super().digest_of(start, count) + NOTHING


class ListHasher(TypeHasher):
    """Lists, and maps as lists of entries: lengths, then elements."""

    def __init__(self, layout: bytes, element: TypeHasher, offsets: str) -> None:
        super().__init__((layout,), (element,))
        self.kind = np.dtype(offsets)

    def _hash_values(self, start: int, count: int, live: Mask | None) -> None:
        bounds = numbers(self.chunk, 1, start, count + 1, self.kind).astype(np.int64, copy=False)
        sizes = np.diff(bounds)
        keep = None
        if live is not None:
            # A null list may own elements, which are dropped with it.
            keep = np.repeat(live, sizes) if sizes[~live].any() else None
            sizes = sizes[live]
        self.values.update(sizes.data)
        first, last = bounds[[0, -1]].tolist()
        self.parts[0].feed(first, last - first, keep)


class ArrayHasher(TypeHasher):
    """Fixed-size arrays: the elements."""

    def __init__(self, element: TypeHasher, width: int) -> None:
        super().__init__((b"+w:%d" % width,), (element,))
        self.width = width

    def _hash_values(self, start: int, count: int, live: Mask | None) -> None:
        keep = None if live is None else np.repeat(live, self.width)
        first = (self.chunk.offset + start) * self.width
        self.parts[0].feed(first, count * self.width, keep)


class StructHasher(TypeHasher):
    """Structs: the fields, each under the struct's own nulls."""

    def __init__(self, fields: Sequence[TypeHasher]) -> None:
        super().__init__((b"+s",), fields)

    def _hash_values(self, start: int, count: int, live: Mask | None) -> None:
        first = self.chunk.offset + start
        for part in self.parts:
            part.feed(first, count, live)

    def digest_of(self, start: int, count: int) -> bytes:
        if self.validity is not None:
            return super().digest_of(start, count)
        own = count.to_bytes(8, "little") + NOTHING + NOTHING
        return b"".join([own, *self.field_digests(start, count)])

    def field_digests(self, start: int, count: int) -> list[bytes]:
        """The digest of each field of `count` rows of the chunk, none of which is null."""
        first = self.chunk.offset + start
        return [part.digest_of(first, count) for part in self.parts]
