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
from xxhash import xxh3_128

from tidemill.analysis.hashing.arrow_buffers import (
    Array,
    Mask,
    Schema,
    bits,
    buffer,
    export_buffers,
    numbers,
    validity_mask,
)
from tidemill.core.errors import TidemillError

BLOCK = 1 << 16
INLINE = 12  # bytes of a string that fit in its view
MANY_RUNS = 64
BYTE = np.dtype("<u1")


class TypeHasher:
    """Hashes the chunks of a column, or of a part of a nested column; a Null column has no values."""

    def __init__(self, layouts: Sequence[bytes], parts: Sequence[TypeHasher] = ()) -> None:
        self.layouts = layouts
        self.parts = parts
        self.rows = 0
        self.nulls = xxh3_128()
        self.values = xxh3_128()

    def clear(self) -> None:
        """Reset, for another column of the same type."""
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

    def feed(self, array: Array, start: int, count: int, keep: Mask | None = None) -> None:
        """Hash `count` rows from `start` on; rows outside the mask `keep` don't count."""
        if 0 < count <= BLOCK:
            self._hash_values(array, start, count, self._live_rows(array, start, count, keep))
            return
        for begin in range(0, count, BLOCK):
            size = min(BLOCK, count - begin)
            kept = None if keep is None else keep[begin : begin + size]
            self._hash_values(
                array, start + begin, size, self._live_rows(array, start + begin, size, kept)
            )

    def _live_rows(self, array: Array, start: int, count: int, keep: Mask | None) -> Mask | None:
        valid = validity_mask(array, start, count)
        if valid is not None:
            among = valid if keep is None else valid[keep]
            self.nulls.update((np.flatnonzero(~among) + self.rows).data)
        if keep is None:
            self.rows += count
            return valid
        self.rows += int(np.count_nonzero(keep))
        return keep if valid is None else valid & keep

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        """Hash the values of the live rows (None: all of them)."""

    def digest(self) -> bytes:
        """The digest of all rows so far; its length depends on the type only."""
        own = self.rows.to_bytes(8, "little") + self.nulls.digest() + self.values.digest()
        return b"".join([own, *[part.digest() for part in self.parts]])


class FixedWidthHasher(TypeHasher):
    """Integers, times and decimals: their bytes, of the NumPy type `stored`."""

    def __init__(self, layouts: Sequence[bytes], stored: str) -> None:
        super().__init__(layouts)
        self.kind = np.dtype(stored)

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        values = numbers(array, 1, start, count, self.kind)
        self.values.update(self._canonical_values(values if live is None else values[live]).data)

    def _canonical_values(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values


class FloatHasher(FixedWidthHasher):
    """Floats: their bytes, with all NaNs equal."""

    def _canonical_values(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        nan = np.isnan(values)
        return np.where(nan, self.kind.type("nan"), values) if np.count_nonzero(nan) else values


class EnumHasher(FixedWidthHasher):
    """Enums: the positions of their categories, as 32-bit integers."""

    def __init__(self) -> None:
        super().__init__((b"C", b"S", b"I"), "<u4")

    def check_layout(self, schema: Schema) -> None:
        super().check_layout(schema)
        self.kind = np.dtype({b"C": "<u1", b"S": "<u2", b"I": "<u4"}[schema.format])

    def _canonical_values(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values.astype("<u4", copy=False)


class BooleanHasher(TypeHasher):
    """Booleans: a byte each, because the position of a bit depends on the slice."""

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        values = bits(array, 1, start, count)
        self.values.update((values if live is None else values[live]).data)


class TextHasher(TypeHasher):
    """Strings and binary, from views: (length, 12 bytes) or (length, 4 bytes, buffer, offset)."""

    VIEW = np.dtype(("<u4", 4))

    def __init__(self, layouts: Sequence[bytes]) -> None:
        super().__init__(layouts)
        # Set for a whole column, not for a part of a nested one.
        self.series: pl.Series | None = None
        self.long = xxh3_128()

    def clear(self) -> None:
        super().clear()
        self.series = None
        self.long.reset()

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        views = numbers(array, 1, start, count, self.VIEW)
        if live is not None:
            views = views[live]
        long = views[:, 0] > INLINE
        if not np.count_nonzero(long):
            self.values.update(views.data)
            return
        plain = views.copy()
        plain.view("<u8")[:, 1] *= ~long  # the buffer and the offset aren't part of the value
        self.values.update(plain.data)
        self._hash_long(array, views[long].astype(np.int64), count)

    def _hash_long(self, array: Array, views: npt.NDArray[np.int64], count: int) -> None:
        """Hash the long values in order, with one update per run that is contiguous in memory."""
        owners, starts = views[:, 2], views[:, 3]
        stops = starts + views[:, 0]
        breaks = np.flatnonzero((owners[1:] != owners[:-1]) | (starts[1:] != stops[:-1]))
        if len(breaks) >= MANY_RUNS and self.series is not None:
            self._hash_scattered(self.series.slice(self.rows - count, count))
            return
        firsts = [0, *(breaks + 1).tolist()]
        lasts = [*breaks.tolist(), len(views) - 1]
        for owner, start, stop in zip(
            owners[firsts].tolist(), starts[firsts].tolist(), stops[lasts].tolist(), strict=True
        ):
            self.long.update(buffer(array, 2 + owner, stop)[start:])

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


class ListHasher(TypeHasher):
    """Lists, and maps as lists of entries: lengths, then elements."""

    def __init__(self, layout: bytes, element: TypeHasher, offsets: str) -> None:
        super().__init__((layout,), (element,))
        self.kind = np.dtype(offsets)

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        bounds = numbers(array, 1, start, count + 1, self.kind).astype(np.int64, copy=False)
        sizes = np.diff(bounds)
        keep = None
        if live is not None:
            # A null list may own elements, which are dropped with it.
            keep = np.repeat(live, sizes) if sizes[~live].any() else None
            sizes = sizes[live]
        self.values.update(sizes.data)
        first, last = bounds[[0, -1]].tolist()
        self.parts[0].feed(array.children[0].contents, first, last - first, keep)


class ArrayHasher(TypeHasher):
    """Fixed-size arrays: the elements."""

    def __init__(self, element: TypeHasher, width: int) -> None:
        super().__init__((b"+w:%d" % width,), (element,))
        self.width = width

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        keep = None if live is None else np.repeat(live, self.width)
        first = (array.offset + start) * self.width
        self.parts[0].feed(array.children[0].contents, first, count * self.width, keep)


class StructHasher(TypeHasher):
    """Structs: the fields, each under the struct's own nulls."""

    def __init__(self, fields: Sequence[TypeHasher]) -> None:
        super().__init__((b"+s",), fields)

    def _hash_values(self, array: Array, start: int, count: int, live: Mask | None) -> None:
        for index, part in enumerate(self.parts):
            part.feed(array.children[index].contents, array.offset + start, count, live)
