"""Describe columns of contracts as JSON Schema, as OpenAPI 3.1 uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.default_value import broken_terms
from tidemill.contracts.docs.phrases import column_terms
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.random_source import RandomSource
from tidemill.contracts.synthetic.rows import sample_rows
from tidemill.core.errors import TidemillError
from tidemill.serving.ascii_pattern import ascii_matcher
from tidemill.serving.json_values import json_value
from tidemill.serving.request_contract import request_contract

_FORMATS: Mapping[str, str] = {"Date": "date", "Time": "time"}
_BOUNDS: Mapping[str, str] = {
    "min": "minimum",
    "max": "maximum",
    "min_exclusive": "exclusiveMinimum",
    "max_exclusive": "exclusiveMaximum",
}


def row_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """Return the schema of a row as an object with a key per column."""
    required = [column.name for column in columns if not (column.optional or column.nullable)]
    found: dict[str, Any] = {
        "type": "object",
        "properties": {column.name: column_schema(column) for column in columns},
    }
    return {**found, "required": required} if required else found


def column_schema(column: Column) -> dict[str, Any]:
    """Return the schema of the values of a column, with its rules and its description."""
    found = _typed(column.dtype)
    if column.nullable and "type" in found:
        found["type"] = [found["type"], "null"]
    found |= _rules(column)
    about = ". ".join(filter(None, (column.description.strip().rstrip("."), column_terms(column))))
    if about:
        found["description"] = about
    if column.optional:
        found["default"] = json_value(column.default)
    return found


def _typed(dtype: DType) -> dict[str, Any]:
    name = dtype.name
    if dtype.integer_range is not None:
        least, most = dtype.integer_range
        return {"type": "integer", "minimum": least, "maximum": most}
    if name.startswith("Float") or name in ("Decimal", "Duration"):
        return {"type": "number"}
    match name:
        case "Boolean":
            return {"type": "boolean"}
        case "Datetime":
            # A time of day without a zone has no format in JSON Schema.
            return {"type": "string", **({"format": "date-time"} if dtype.args[1] else {})}
        case "List":
            return {"type": "array", "items": _inner(dtype.args[0])}
        case "Array":
            return {
                "type": "array",
                "items": _inner(dtype.args[0]),
                "minItems": dtype.args[1],
                "maxItems": dtype.args[1],
            }
        case "Struct":
            fields = zip(map(str, dtype.args[::2]), map(_inner, dtype.args[1::2]), strict=True)
            return {"type": "object", "properties": dict(fields)}
    return {"type": "string", **({"format": _FORMATS[name]} if name in _FORMATS else {})}


def _inner(dtype: Any) -> dict[str, Any]:
    found = _typed(dtype)
    return {**found, "type": [found["type"], "null"]}


def _rules(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, keyword in _BOUNDS.items():
        bound = getattr(column, name)
        if isinstance(bound, int | float | Decimal) and isfinite(bound):
            found[keyword] = json_value(bound)
    is_list = column.dtype.name == "List"
    for name, keyword in (("min_length", "min"), ("max_length", "max")):
        length = getattr(column, name)
        if length is not None:
            found[f"{keyword}{'Items' if is_list else 'Length'}"] = length
    # Only patterns that mean the same in all dialects.
    if column.regex is not None and ascii_matcher(column.regex) is not None:
        found["pattern"] = column.regex
    allowed = _allowed(column)
    if allowed:
        found["enum"] = [*map(json_value, allowed), *([None] if column.nullable else [])]
    return found


def _allowed(column: Column) -> list[object]:
    listed = column.dtype.args if column.dtype.name == "Enum" else column.isin or ()
    return [
        item for item in listed if item is not None and (column.isin is None or item in column.isin)
    ]


def example_row(
    spec: ContractSpec, names: Sequence[str], chance: RandomSource
) -> dict[str, Any] | None:
    """Return a row that the contract accepts, as JSON values; None if none could be drawn."""
    try:
        frame = sample_rows(request_contract(spec, names), 1, chance)
    except TidemillError:
        return None
    given = frame.row(0, named=True)
    return {name: json_value(_short(spec.column(name), value)) for name, value in given.items()}


def _short(column: Column, value: Any) -> Any:
    """Round a float to a few digits, if it keeps the bounds of its column."""
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.6g}")
    return value if any(broken_terms(column, rounded)) else rounded
