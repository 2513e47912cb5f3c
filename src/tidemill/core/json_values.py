"""Convert records to values of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any

from tidemill.core.redaction import Redact

# Keys that scripts know; the fields have other names by now.
_KEYS = {("ContractSpec", "table_rules"): "wider", ("Condition", "phrase"): "says"}


@cache
def _keys_of(kind: type) -> tuple[tuple[str, str], ...] | None:
    """The key and the name of each field of a record; None for other kinds."""
    if not is_dataclass(kind):
        return None
    names = [field.name for field in fields(kind)]
    return tuple((_KEYS.get((kind.__name__, name), name), name) for name in names)


def to_json_values(value: Any, mask: Redact = str) -> Any:
    """Convert records, enums, times and sequences to JSON values; NaN and infinities become null.

    `mask` removes secrets from text; keys are names, and stay.
    """
    # Pages have tens of thousands of values, most of them these.
    kind: Any = type(value)
    if kind is str:
        return mask(value)
    if kind is int or value is None:
        return value
    keys = _keys_of(kind)
    if keys is not None:
        return {key: to_json_values(getattr(value, name), mask) for key, name in keys}
    if isinstance(value, Mapping):
        return {str(key): to_json_values(item, mask) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json_values(item, mask) for item in value]
    return _scalar(value, mask)


def _scalar(value: Any, mask: Redact) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, int):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
