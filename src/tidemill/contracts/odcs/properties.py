"""Read a property of a document as a column; parts that columns can't express are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.contracts.column import ON_FAIL, ROLES, Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.odcs.document import DocumentNode
from tidemill.contracts.odcs.quality import apply_column_checks, apply_enum
from tidemill.contracts.odcs.types import read_type
from tidemill.contracts.odcs.values import decode
from tidemill.contracts.odcs.vocabulary import BOUNDS, CustomProperties
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import GRAINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A column read from a property, with its positions in the key and the partitioning."""

    column: Column
    node: DocumentNode
    key_position: int | None = None
    partition_position: int | None = None


def read_property(node: DocumentNode) -> Property | None:
    """Read the column of a property; None, with the reason listed, if contracts can't express it."""
    name = node.take("name")
    if not name:
        node.refuse("a property without a name")
        return None
    options = node.part("logicalTypeOptions")
    dtype = read_type(node, options)
    if dtype is None:
        return None
    customs = CustomProperties(node)
    column = Column(
        name=str(name),
        dtype=dtype,
        nullable=not node.take("required"),
        unique=_unique(node, dtype),
        description=node.take("description") or "",
        pii=_pii(node, customs),
        **_limits(options, customs, dtype),
        **_own(customs, dtype),
    )
    column = apply_column_checks(node, apply_enum(node, column))
    # These values are the defaults of a contract.
    node.take_if("criticalDataElement", False)
    node.take_if("deprecated", False)
    key = _position(node, "primaryKey", "primaryKeyPosition")
    partitioned = _position(node, "partitioned", "partitionKeyPosition")
    if partitioned is not None:
        grain = customs.take("partition", GRAINS.__contains__)
        column = replace(column, partition=GRAINS[grain] if grain else "value")
    if key is not None:
        column = replace(column, nullable=False)
    return Property(column=column, node=node, key_position=key, partition_position=partitioned)


def _position(node: DocumentNode, mark: str, position: str) -> int | None:
    """Return the position of a column in a key, last if unspecified; None if it isn't in the key."""
    marked, at = node.take(mark), node.peek(position)
    if not marked:
        node.take_if(position, -1)
        return None
    node.take(position)
    return at if isinstance(at, int) and at > 0 else 1 << 30


def _unique(node: DocumentNode, dtype: DType) -> bool:
    if dtype.is_nested and node.peek("unique"):
        node.note("unique", f"values of a {dtype.name} aren't compared")
        return False
    return bool(node.take("unique"))


def _pii(node: DocumentNode, customs: CustomProperties) -> str:
    """Return the kind of personal data if the classification is `pii`; other classifications are listed."""
    if str(node.peek("classification")).lower() != "pii":
        return ""
    node.take("classification")
    return customs.take("pii", lambda value: isinstance(value, str)) or "pii"


def _own(customs: CustomProperties, dtype: DType) -> dict[str, Any]:
    found = {
        "on_fail": customs.take("onFail", lambda value: value in ON_FAIL),
        "optional": customs.take("optional", lambda value: isinstance(value, bool)),
        "default": _decode_custom(customs, "default", dtype),
        "unit": customs.take("unit", lambda value: isinstance(value, str)),
        "role": customs.take("role", lambda value: value in ROLES),
    }
    return {name: value for name, value in found.items() if value is not None}


def _decode_custom(customs: CustomProperties, name: str, dtype: DType) -> Any:
    value = customs.take(name)
    try:
        return decode(value, dtype)
    except ValueError as error:
        customs.refuse(name, f"the custom property tidemillDefault: {error}")
        return None


def _limits(options: DocumentNode, customs: CustomProperties, dtype: DType) -> dict[str, Any]:
    limits = {}
    if dtype.is_number or dtype.is_time:
        limits = _bounds(options, _exact(customs), dtype)
    lengths = _LENGTHS.get(dtype.name, {})
    limits |= {name: options.take(key) for key, name in lengths.items() if key in options}
    if dtype.name == "String" and "pattern" in options:
        limits["regex"] = _pattern(options)
    return limits


_LENGTHS: Mapping[str, Mapping[str, str]] = {
    "String": {"minLength": "min_length", "maxLength": "max_length"},
    "Binary": {"minLength": "min_length", "maxLength": "max_length"},
    "List": {"minItems": "min_length", "maxItems": "max_length"},
}


def _exact(customs: CustomProperties) -> Mapping[str, Any]:
    return customs.take("exact", lambda value: isinstance(value, Mapping)) or {}


def _bounds(options: DocumentNode, exact: Mapping[str, Any], dtype: DType) -> dict[str, Any]:
    found = {}
    for name, key in BOUNDS.items():
        if key not in options:
            continue
        try:
            found[name] = _bound(options.peek(key), exact.get(name), dtype)
            options.take(key)
        except ValueError as error:
            options.note(key, f"{options.peek(key)} is not a bound of a {dtype}: {error}")
    return found


def _bound(value: Any, exact: Any, dtype: DType) -> Any:
    # The exact text only refines the number; if somebody edited the number, the edit wins.
    if exact is not None and float(str(exact)) == value:
        return decode(str(exact), dtype) if dtype.name == "Decimal" else Decimal(str(exact))
    return decode(value, dtype)


def _pattern(options: DocumentNode) -> str | None:
    """Return the pattern; None, with the reason listed, if Polars doesn't support it (a look-ahead)."""
    pattern = options.take("pattern")
    try:
        pl.Series([""]).str.contains(str(pattern))
    except PolarsError as error:
        reason = str(error).strip().splitlines()[-1]
        options.note("pattern", f"Polars doesn't support the pattern {pattern!r}: {reason}")
        return None
    return str(pattern)
