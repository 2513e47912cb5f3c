"""Contracts as JSON, for another process that compares them: expressions by their digest and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, Recorded, Rule
from tidemill.contracts.table_rules import (
    Budget,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    Rows,
    UniqueRule,
)
from tidemill.core.partition import Grain

_KIND = "kind"
_RECORDS: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Budget, Column, ContractSpec, DType, Recorded, Rows, Rule),
        *(DriftRule, FreshnessRule, ReferenceRule, UniqueRule),
    )
}
_READ: Mapping[str, Callable[[Any], Any]] = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda days_and_more: timedelta(*days_and_more),
    "Decimal": Decimal,
    "Grain": Grain,
    "tuple": lambda items: tuple(map(read, items)),
    "text": str,
}


def written(value: Any) -> Any:
    """A contract, or what it is made of, as values that JSON has; all but these as its text."""
    kind = type(value).__name__
    if value is None or kind in ("str", "int", "float", "bool"):
        return value
    if kind in _RECORDS:
        # What equality passes over is known only where the contract is declared.
        told = [f for f in fields(value) if f.compare and not _is_default(f, value)]
        return {_KIND: kind, **{f.name: written(getattr(value, f.name)) for f in told}}
    match value:
        case tuple():
            return {_KIND: "tuple", "value": [written(item) for item in value]}
        case Grain() | Decimal():
            return {_KIND: kind, "value": str(value)}
        case date() | time():
            return {_KIND: kind, "value": value.isoformat()}
        case timedelta():
            return {_KIND: kind, "value": [value.days, value.seconds, value.microseconds]}
    if hasattr(value, "meta"):
        return written(Recorded(digest=Rule(expr=value).digest, text=str(value)))
    return {_KIND: "text", "value": repr(value)}


def _is_default(item: Field[Any], value: object) -> bool:
    """Whether a field says what it says by itself; 0 and False are equal and not the same."""
    held = getattr(value, item.name)
    return type(held) is type(item.default) and bool(held == item.default)


def read(value: Any) -> Any:
    """What `written` wrote; equal to what it was, but for expressions."""
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind in _RECORDS:
        held = {name: read(item) for name, item in value.items() if name != _KIND}
        return _RECORDS[kind](**held)
    return _READ[kind](value["value"])
