"""Content hashes of columns: equal hashes mean the same type and the same values in the same order.

The layout in memory doesn't count (see `canonical`), so a column that was sliced, rechunked, written or
read again keeps its hash. Golden digests in the tests pin every type: changing one makes all recorded
results unreachable.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, TypeAlias

import polars as pl
from xxhash import xxh3_128_hexdigest

from tidemill.analysis.hashing.arrow_buffers import Array, export_buffers
from tidemill.analysis.hashing.canonical import (
    ArrayHasher,
    BooleanHasher,
    EnumHasher,
    FixedWidthHasher,
    FloatHasher,
    ListHasher,
    StructHasher,
    TextHasher,
    TypeHasher,
)
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.fingerprint import fingerprint

# Frames with fewer rows are hashed faster together.
_SHORT = 4096

Tag: TypeAlias = "str | int | tuple[Tag, ...] | None"

# The hasher of each type without inner types.
_LEAVES: Mapping[Any, Callable[[Any], TypeHasher]] = {
    pl.Null: lambda _: TypeHasher((b"n",)),
    pl.Boolean: lambda _: BooleanHasher((b"b",)),
    pl.Int8: lambda _: FixedWidthHasher((b"c",), "<i1"),
    pl.Int16: lambda _: FixedWidthHasher((b"s",), "<i2"),
    pl.Int32: lambda _: FixedWidthHasher((b"i",), "<i4"),
    pl.Int64: lambda _: FixedWidthHasher((b"l",), "<i8"),
    pl.Int128: lambda _: FixedWidthHasher((b"_pli128",), "<2u8"),
    pl.UInt8: lambda _: FixedWidthHasher((b"C",), "<u1"),
    pl.UInt16: lambda _: FixedWidthHasher((b"S",), "<u2"),
    pl.UInt32: lambda _: FixedWidthHasher((b"I",), "<u4"),
    pl.UInt64: lambda _: FixedWidthHasher((b"L",), "<u8"),
    pl.UInt128: lambda _: FixedWidthHasher((b"_plu128",), "<2u8"),
    pl.Float16: lambda _: FloatHasher((b"e",), "<f2"),
    pl.Float32: lambda _: FloatHasher((b"f",), "<f4"),
    pl.Float64: lambda _: FloatHasher((b"g",), "<f8"),
    pl.Decimal: lambda dtype: FixedWidthHasher(
        (b"d:%d,%d" % (dtype.precision, dtype.scale),), "<2u8"
    ),
    pl.Date: lambda _: FixedWidthHasher((b"tdD",), "<i4"),
    pl.Time: lambda _: FixedWidthHasher((b"ttn",), "<i8"),
    pl.Datetime: lambda dtype: FixedWidthHasher(
        (f"ts{dtype.time_unit[0]}:{dtype.time_zone or ''}".encode(),), "<i8"
    ),
    pl.Duration: lambda dtype: FixedWidthHasher((f"tD{dtype.time_unit[0]}".encode(),), "<i8"),
    pl.Enum: lambda _: EnumHasher(),
    pl.String: lambda _: TextHasher((b"vu",)),
    pl.Binary: lambda _: TextHasher((b"vz",)),
}
_NESTED: Mapping[Any, Callable[[Any, list[TypeHasher]], TypeHasher]] = {
    pl.List: lambda _, parts: ListHasher(b"+L", parts[0], "<i8"),
    pl.Map: lambda _, parts: ListHasher(b"+m", StructHasher(parts), "<i4"),
    pl.Array: lambda dtype, parts: ArrayHasher(parts[0], dtype.size),
    pl.Struct: lambda _, parts: StructHasher(parts),
}
_PARAMETERS: Mapping[Any, Callable[[Any], tuple[Tag, ...]]] = {
    pl.Datetime: lambda dtype: (dtype.time_unit, dtype.time_zone),
    pl.Duration: lambda dtype: (dtype.time_unit,),
    pl.Decimal: lambda dtype: (dtype.precision, dtype.scale),
    pl.Enum: lambda dtype: tuple(dtype.categories.to_list()),
    pl.Categorical: lambda dtype: _categories_tag(dtype.categories),
    pl.Array: lambda dtype: (dtype.size,),
    pl.Struct: lambda dtype: tuple(field.name for field in dtype.fields),
}


def column_hash(series: pl.Series) -> str:
    """32 hex digits (xxh3-128) that name the type and the values of `series`, not its name.

    Raises ContractError for a type without stable bytes (Object, extension types).
    """
    return column_hashes(series.to_frame())[series.name]


def column_hashes(frame: pl.DataFrame) -> dict[str, str]:
    """Hash each column of `frame`, by name; raises as `column_hash` does."""
    return FrameHasher(dict(zip(frame.columns, frame.dtypes, strict=True))).hashes(frame)


class FrameHasher:
    """Hashes frames of one schema; what depends on the types only is computed once.

    Raises ContractError for a type without stable bytes.
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._headers = {name: _type_header(dtype) for name, dtype in schema.items()}
        plain = {name: _without_categorical(dtype) for name, dtype in schema.items()}
        same = all(map(operator.is_, plain.values(), schema.values()))
        self._plain_types = () if same else tuple(plain.values())
        canons = [_type_hasher(name, schema[name], dtype) for name, dtype in plain.items()]
        self._whole = StructHasher(canons)
        self._text_hashers = [
            (n, canon) for n, canon in enumerate(canons) if isinstance(canon, TextHasher)
        ]

    def hashes(self, frame: pl.DataFrame) -> dict[str, str]:
        """Hash each column of `frame`, whose columns and types must be those of the schema."""
        frame = self._plain(frame)
        with self._chunks(frame) as chunks:
            for array in chunks:
                if array.length == frame.height:
                    return self._by_name(self._whole.field_digests(0, array.length))
                self._whole.feed(0, array.length)
            return self._by_name(part.digest() for part in self._whole.parts)

    def hashes_of(self, frames: Sequence[pl.DataFrame]) -> list[dict[str, str]]:
        """Hash each column of each frame like `hashes`; for many short ones this is much faster."""
        heights = [frame.height for frame in frames]
        if len(frames) == 1 or sum(heights) > len(frames) * _SHORT:
            return [self.hashes(frame) for frame in frames]
        together = pl.concat([self._plain(frame) for frame in frames])
        with self._segments(together, heights) as segments:
            return [self._by_name(self._whole.field_digests(*rows)) for rows in segments]

    def digests(self, frame: pl.DataFrame, lengths: Sequence[int]) -> list[str]:
        """Digest names, types and values of each of the segments, of `lengths` rows, that make up `frame`.

        For many short segments this is much faster than `hashes` of each.
        """
        header = ascii(("rows", 1, *self._headers)).encode() + b"".join(self._headers.values())
        with self._segments(frame, lengths) as segments:
            return [xxh3_128_hexdigest(header + self._whole.digest_of(*rows)) for rows in segments]

    @contextmanager
    def _segments(
        self, frame: pl.DataFrame, lengths: Sequence[int]
    ) -> Iterator[Iterable[tuple[int, int]]]:
        """The start and the length of each segment of a frame, whose rows can be hashed meanwhile."""
        frame = self._plain(frame).rechunk()
        with self._chunks(frame) as chunks:
            array = next(chunks)
            assert array.length == frame.height, "the frame is exported in one chunk"
            yield zip(accumulate(lengths, initial=0), lengths, strict=False)

    @contextmanager
    def _chunks(self, frame: pl.DataFrame) -> Iterator[Iterator[Array]]:
        """The chunks of a frame, each of which is hashed while it is the last one that was read."""
        with export_buffers(frame) as (schema, chunks):
            self._whole.check_layout(schema)
            try:
                yield self._bind_each(frame, chunks)
            finally:
                self._whole.release()
                self._whole.clear()

    def _bind_each(self, frame: pl.DataFrame, chunks: Iterator[Array]) -> Iterator[Array]:
        first = 0
        for array in chunks:
            self._whole.bind(array)
            for index, canon in self._text_hashers:
                canon.series, canon.first_row = frame.to_series(index), first - array.offset
            yield array
            first += array.length

    def _by_name(self, digests: Iterable[bytes]) -> dict[str, str]:
        found = zip(self._headers.items(), digests, strict=True)
        return {name: xxh3_128_hexdigest(head + digest) for (name, head), digest in found}

    def _plain(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace Categorical columns by text."""
        if not self._plain_types:
            return frame
        columns = zip(frame.get_columns(), self._plain_types, strict=True)
        return pl.DataFrame([series.cast(dtype) for series, dtype in columns])


def rowset_hash(
    frame: pl.DataFrame, key: Sequence[str], hashes: Mapping[str, str] | None = None
) -> str:
    """Hash the rows of `frame` in their order: the key columns (or all columns) and the height.

    `hashes` holds results of `column_hashes` that are known already. The order of the columns doesn't
    count. Raises ContractError if a key column is missing.
    """
    names = key or frame.columns
    for name in names:
        if name not in frame.columns:
            advice = did_you_mean(name, frame.columns)
            raise ContractError(f"key column {name!r} is not among the data's columns ({advice})")
    known = hashes or {}
    missing = [frame.get_column(name) for name in names if name not in known]
    found = {**known, **column_hashes(pl.DataFrame(missing))} if missing else known
    return fingerprint("rowset", frame.height, {name: found[name] for name in names})


def _type_hasher(column: str, whole: pl.DataType, dtype: pl.DataType) -> TypeHasher:
    """The hasher for `dtype`, the type of a column or of a part of it."""
    kind = dtype.base_type()
    if kind in _LEAVES:
        return _LEAVES[kind](dtype)
    if kind not in _NESTED:
        raise ContractError(
            f"column {column!r} of type {whole}: values of type {dtype} have no bytes "
            "to compare or store; convert them to numbers, String, Binary or Struct in the stage "
            "that makes them"
        )
    return _NESTED[kind](dtype, [_type_hasher(column, whole, part) for part in _inner_types(dtype)])


def _inner_types(dtype: Any) -> list[Any]:
    match dtype:
        case pl.Map():
            return [dtype.key, dtype.value]
        case pl.Struct():
            return [field.dtype for field in dtype.fields]
    return [dtype.inner]


def _without_categorical(dtype: pl.DataType) -> pl.DataType:
    """Replace Categorical by String: its codes depend on the categories that the process saw before."""
    kind = dtype.base_type()
    if kind is pl.Categorical:
        return pl.String()
    if kind not in _NESTED:
        return dtype
    parts = _inner_types(dtype)
    plain = [_without_categorical(part) for part in parts]
    if all(map(operator.is_, plain, parts)):
        return dtype
    match dtype:
        case pl.Array():
            return pl.Array(plain[0], dtype.size)
        case pl.Struct():
            names = [field.name for field in dtype.fields]
            return pl.Struct(dict(zip(names, plain, strict=True)))
    return dtype.__class__(*plain)


def _type_header(dtype: pl.DataType) -> bytes:
    return ascii(("column", 1, type_tag(dtype))).encode()


def type_tag(dtype: pl.DataType) -> Tag:
    """Describe a type by its name, parameters and inner types."""
    kind = dtype.base_type()
    parameters = _PARAMETERS[kind](dtype) if kind in _PARAMETERS else ()
    parts = map(type_tag, _inner_types(dtype)) if kind in _NESTED else ()
    return (kind.__name__, *parameters, *parts)


def _categories_tag(categories: pl.Categories) -> tuple[Tag, ...]:
    return categories.name(), categories.namespace(), str(categories.physical())
