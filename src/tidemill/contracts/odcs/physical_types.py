"""Map physical types of documents, Tidemill's own and those of databases, to column types."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tidemill.contracts.dtype import DType
from tidemill.core.lazy_dataclass import dataclass

_WORDS = re.compile(r"\s*([A-Za-z_][\w ]*?)\s*(?:\((.*)\)\s*([\w ]*))?\s*", re.DOTALL)
_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "Int128")
_UNSIGNED = ("UInt8", "UInt16", "UInt32", "UInt64", "UInt128")
_FLOATS = ("Float16", "Float32", "Float64", "Decimal")
# The logical type of every column type; durations are text, as in JSON Schema.
FAMILIES: Mapping[str, str] = {
    **dict.fromkeys((*_INTEGERS, *_UNSIGNED), "integer"),
    **dict.fromkeys(_FLOATS, "number"),
    **dict.fromkeys(("String", "Categorical", "Enum", "Binary", "Duration"), "string"),
    **{"Boolean": "boolean", "Date": "date", "Datetime": "timestamp", "Time": "time"},
    **{"List": "array", "Array": "array", "Struct": "object"},
}
# Integers are numbers; before version 3.1, timestamps and times of day were dates.
_ALSO = {"number": ("integer",), "date": ("timestamp", "time")}
_OUTER = frozenset({"List", "Array", "Struct", "Enum"})
_PARAMETRIC = frozenset({"Decimal", "Datetime", "Duration"})
_NAMES: Mapping[str, str] = {
    "Int8": "tinyint byteint",
    "Int16": "smallint int2 short smallserial",
    "Int32": "int integer int4 mediumint serial int32",
    "Int64": "bigint int8 int64 long bigserial",
    "UInt64": "uint64",
    "Float32": "real float4 float32",
    "Float64": "double float float8 float64 doubleprecision",
    "Decimal": "decimal numeric number dec bignumeric",
    "Boolean": "boolean bool bit",
    "String": "string text varchar char character charactervarying varchar2 nvarchar nvarchar2 nchar "
    "bpchar clob longtext mediumtext tinytext ntext uuid",
    "Binary": "binary varbinary bytea blob bytes raw",
    "Date": "date",
    "Time": "time timewithouttimezone",
    "Datetime": "timestamp datetime datetime2 timestamp_ntz timestampntz timestampwithouttimezone",
    "zoned": "timestamptz timestamp_tz timestamp_ltz timestampwithtimezone datetimeoffset",
}
_OF_DATABASES = {name: dtype for dtype, names in _NAMES.items() for name in names.split()}
_UNITS = ("ms", "us", "ns")
_DIGITS = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalType:
    """A parsed physical type: the column type, the `outer` type if it is nested, and a remark."""

    dtype: DType
    outer: str = ""
    remark: str = ""


def physical_type(text: str, logical: str | None) -> PhysicalType | None:
    """Return the column type of a physical type; None if unknown or in conflict with the logical type."""
    found = _own(text) or _of_databases(text)
    if found is None:
        return None
    family = FAMILIES[found.dtype.name]
    agree = logical is None or family == logical or family in _ALSO.get(logical, ())
    return found if agree else None


def _own(text: str) -> PhysicalType | None:
    """Parse one of Tidemill's own types by its exact name."""
    found = _WORDS.fullmatch(text)
    name, inside = (found[1], found[2]) if found else ("", None)
    if name in _OUTER and inside is None:
        return PhysicalType(dtype=DType(name), outer=name)
    if name == "Decimal":
        return _decimal(inside)
    if name in _PARAMETRIC and inside is not None:
        args = tuple(map(_argument, inside.split(",")))
        right = len(args) == (1 if name == "Duration" else 2)
        return PhysicalType(dtype=DType(name, args)) if right and args[0] in _UNITS else None
    plain = name in FAMILIES and name not in _OUTER | _PARAMETRIC
    return PhysicalType(dtype=DType(name)) if plain and inside is None else None


def _argument(text: str) -> str | None:
    plain = text.strip().strip("'\"")
    return None if plain == "None" else plain


def _of_databases(text: str) -> PhysicalType | None:
    found = _WORDS.fullmatch(text)
    if found is None:
        return None
    words = f"{found[1]}{found[3] or ''}".replace(" ", "").lower()
    name, inside = _OF_DATABASES.get(words), found[2]
    match name:
        case None:
            return None
        case "Decimal":
            return _decimal(inside)
        case "Datetime" | "zoned":
            zone = "UTC" if name == "zoned" else None
            more = "" if inside is None else "its precision isn't kept"
            return PhysicalType(dtype=DType("Datetime", ("us", zone)), remark=more)
    more = "" if inside is None else f"read as {name}"
    return PhysicalType(dtype=DType(name), remark=more)


def _decimal(inside: str | None) -> PhysicalType | None:
    digits = [part.strip() for part in inside.split(",")] if inside else []
    if not digits or not all(part.isdecimal() for part in digits):
        return None
    precision, scale = int(digits[0]), int(digits[1]) if len(digits) > 1 else 0
    fits = 0 < precision <= _DIGITS and scale <= precision
    return PhysicalType(dtype=DType("Decimal", (precision, scale))) if fits else None
