"""Content hashes of columns: equal hashes mean the same type and the same values in the same order.

The layout in memory doesn't count (see `canonical`), so a column that was sliced, rechunked, written or
read again keeps its hash. Golden digests in the tests pin every type: changing one makes all recorded
results unreachable.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import polars as pl
from xxhash import xxh3_128_hexdigest

from tidemill.analysis.hashing.arrow_buffers import exported
from tidemill.analysis.hashing.canonical import (
    Arrays,
    Booleans,
    Bytes,
    Canon,
    Codes,
    Fixed,
    Floats,
    Lists,
    Structs,
)
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.fingerprint import fingerprint

Tag: TypeAlias = "str | int | tuple[Tag, ...] | None"

# The hasher of each type without inner types.
_LEAVES: Mapping[Any, Callable[[Any], Canon]] = {
    pl.Null: lambda _: Canon((b"n",)),
    pl.Boolean: lambda _: Booleans((b"b",)),
    pl.Int8: lambda _: Fixed((b"c",), "<i1"),
    pl.Int16: lambda _: Fixed((b"s",), "<i2"),
    pl.Int32: lambda _: Fixed((b"i",), "<i4"),
    pl.Int64: lambda _: Fixed((b"l",), "<i8"),
    pl.Int128: lambda _: Fixed((b"_pli128",), "<2u8"),
    pl.UInt8: lambda _: Fixed((b"C",), "<u1"),
    pl.UInt16: lambda _: Fixed((b"S",), "<u2"),
    pl.UInt32: lambda _: Fixed((b"I",), "<u4"),
    pl.UInt64: lambda _: Fixed((b"L",), "<u8"),
    pl.UInt128: lambda _: Fixed((b"_plu128",), "<2u8"),
    pl.Float16: lambda _: Floats((b"e",), "<f2"),
    pl.Float32: lambda _: Floats((b"f",), "<f4"),
    pl.Float64: lambda _: Floats((b"g",), "<f8"),
    pl.Decimal: lambda dtype: Fixed((b"d:%d,%d" % (dtype.precision, dtype.scale),), "<2u8"),
    pl.Date: lambda _: Fixed((b"tdD",), "<i4"),
    pl.Time: lambda _: Fixed((b"ttn",), "<i8"),
    pl.Datetime: lambda dtype: Fixed(
        (f"ts{dtype.time_unit[0]}:{dtype.time_zone or ''}".encode(),), "<i8"
    ),
    pl.Duration: lambda dtype: Fixed((f"tD{dtype.time_unit[0]}".encode(),), "<i8"),
    pl.Enum: lambda _: Codes(),
    pl.String: lambda _: Bytes((b"vu",)),
    pl.Binary: lambda _: Bytes((b"vz",)),
}
_NESTED: Mapping[Any, Callable[[Any, list[Canon]], Canon]] = {
    pl.List: lambda _, parts: Lists(b"+L", parts[0], "<i8"),
    pl.Map: lambda _, parts: Lists(b"+m", Structs(parts), "<i4"),
    pl.Array: lambda dtype, parts: Arrays(parts[0], dtype.size),
    pl.Struct: lambda _, parts: Structs(parts),
}
_PARAMETERS: Mapping[Any, Callable[[Any], tuple[Tag, ...]]] = {
    pl.Datetime: lambda dtype: (dtype.time_unit, dtype.time_zone),
    pl.Duration: lambda dtype: (dtype.time_unit,),
    pl.Decimal: lambda dtype: (dtype.precision, dtype.scale),
    pl.Enum: lambda dtype: tuple(dtype.categories.to_list()),
    pl.Categorical: lambda dtype: _identity(dtype.categories),
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
    return Hasher(dict(zip(frame.columns, frame.dtypes, strict=True))).hashes(frame)


class Hasher:
    """Hashes frames of one schema; what depends on the types only is computed once.

    Raises ContractError for a type without stable bytes.
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._heads = {name: _head(dtype) for name, dtype in schema.items()}
        plain = {name: _spelled(dtype) for name, dtype in schema.items()}
        same = all(map(operator.is_, plain.values(), schema.values()))
        self._spelled = () if same else tuple(plain.values())
        canons = [_canon(name, schema[name], dtype) for name, dtype in plain.items()]
        self._whole = Structs(canons)
        self._texts = [(n, canon) for n, canon in enumerate(canons) if isinstance(canon, Bytes)]

    def hashes(self, frame: pl.DataFrame) -> dict[str, str]:
        """Hash each column of `frame`, whose columns and types must be those of the schema."""
        if self._spelled:
            columns = zip(frame.get_columns(), self._spelled, strict=True)
            frame = pl.DataFrame([series.cast(dtype) for series, dtype in columns])
        for index, canon in self._texts:
            canon.series = frame.to_series(index)
        try:
            self._feed(frame)
            parts = zip(self._heads.items(), self._whole.parts, strict=True)
            return {name: xxh3_128_hexdigest(head + part.digest()) for (name, head), part in parts}
        finally:
            self._whole.clear()

    def _feed(self, frame: pl.DataFrame) -> None:
        with exported(frame) as (schema, chunks):
            self._whole.accept(schema)
            for array in chunks:
                self._whole.feed(array, 0, array.length)


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


def _canon(column: str, whole: pl.DataType, dtype: pl.DataType) -> Canon:
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
    return _NESTED[kind](dtype, [_canon(column, whole, part) for part in _parts(dtype)])


def _parts(dtype: Any) -> list[Any]:
    match dtype:
        case pl.Map():
            return [dtype.key, dtype.value]
        case pl.Struct():
            return [field.dtype for field in dtype.fields]
    return [dtype.inner]


def _spelled(dtype: pl.DataType) -> pl.DataType:
    """Replace Categorical by String: its codes depend on the categories that the process saw before."""
    kind = dtype.base_type()
    if kind is pl.Categorical:
        return pl.String()
    if kind not in _NESTED:
        return dtype
    parts = _parts(dtype)
    plain = [_spelled(part) for part in parts]
    if all(map(operator.is_, plain, parts)):
        return dtype
    match dtype:
        case pl.Array():
            return pl.Array(plain[0], dtype.size)
        case pl.Struct():
            names = [field.name for field in dtype.fields]
            return pl.Struct(dict(zip(names, plain, strict=True)))
    return dtype.__class__(*plain)


def _head(dtype: pl.DataType) -> bytes:
    return ascii(("column", 1, type_tag(dtype))).encode()


def type_tag(dtype: pl.DataType) -> Tag:
    """Describe a type by its name, parameters and inner types."""
    kind = dtype.base_type()
    parameters = _PARAMETERS[kind](dtype) if kind in _PARAMETERS else ()
    parts = map(type_tag, _parts(dtype)) if kind in _NESTED else ()
    return (kind.__name__, *parameters, *parts)


def _identity(categories: pl.Categories) -> tuple[Tag, ...]:
    return categories.name(), categories.namespace(), str(categories.physical())
