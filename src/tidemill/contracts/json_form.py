"""Encode contracts as JSON and back; expressions become their digest and their text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec, RecordedExpression, Rule
from tidemill.contracts.table_rules import (
    Budget,
    DriftAlarmRule,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    Rows,
    UniqueRule,
)
from tidemill.contracts.text_format import TextFormat
from tidemill.core.partition import Grain

_KIND = "kind"
# Trained models store this form, so its names stay even if a class or a field is renamed.
_RECORDS: Mapping[str, type[Any]] = {
    "Budget": Budget,
    "Column": Column,
    "ContractSpec": ContractSpec,
    "DType": DType,
    "Recorded": RecordedExpression,
    "Rows": Rows,
    "TextFormat": TextFormat,
    "Rule": Rule,
    "DriftAlarmRule": DriftAlarmRule,
    "DriftRule": DriftRule,
    "FreshnessRule": FreshnessRule,
    "ReferenceRule": ReferenceRule,
    "UniqueRule": UniqueRule,
}
_KINDS = {record: name for name, record in _RECORDS.items()}
_FIELDS = {"table_rules": "wider"}
_READ: Mapping[str, Callable[[Any], Any]] = {
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda days_and_more: timedelta(*days_and_more),
    "Decimal": Decimal,
    "Grain": Grain,
    "tuple": lambda items: tuple(map(from_json, items)),
    "text": str,
}


def to_json(value: Any) -> Any:
    """Return a contract, or a part of one, as JSON values; values of unknown types become text."""
    kind = type(value).__name__
    if value is None or kind in ("str", "int", "float", "bool"):
        return value
    if type(value) in _KINDS:
        # Fields that equality ignores are known only in the process that declares the contract.
        kept = [f for f in fields(value) if f.compare and not _is_default(f, value)]
        encoded = {_field_name(f): to_json(getattr(value, f.name)) for f in kept}
        return {_KIND: _KINDS[type(value)], **encoded}
    match value:
        case tuple():
            return {_KIND: "tuple", "value": [to_json(item) for item in value]}
        case Grain() | Decimal():
            return {_KIND: kind, "value": str(value)}
        case date() | time():
            return {_KIND: kind, "value": value.isoformat()}
        case timedelta():
            return {_KIND: kind, "value": [value.days, value.seconds, value.microseconds]}
    if hasattr(value, "meta"):
        return to_json(RecordedExpression(digest=Rule(expr=value).digest, text=str(value)))
    return {_KIND: "text", "value": repr(value)}


def _field_name(item: Field[Any]) -> str:
    return _FIELDS.get(item.name, item.name)


def _is_default(item: Field[Any], value: object) -> bool:
    """Whether a field has its default, of the same type: 0 and False are equal but differ."""
    found = getattr(value, item.name)
    return type(found) is type(item.default) and bool(found == item.default)


def from_json(value: Any) -> Any:
    """Decode what `to_json` encoded; equal to the original except for expressions."""
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind not in _RECORDS:
        return _READ[kind](value["value"])
    names = {_field_name(item): item.name for item in fields(_RECORDS[kind])}
    return _RECORDS[kind](**{names[n]: from_json(item) for n, item in value.items() if n != _KIND})
