"""Convert records to values of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any

from tidemill.core.redaction import Redact

# Keys that scripts know; the fields have other names by now.
_KEYS = {("ContractSpec", "table_rules"): "wider", ("Condition", "phrase"): "says"}


def to_json_values(value: Any, mask: Redact = str) -> Any:
    """Convert records, enums, times and sequences to JSON values; NaN and infinities become null.

    `mask` removes secrets from text; keys are names, and stay.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value).__name__
        return {
            _KEYS.get((kind, field.name), field.name): to_json_values(
                getattr(value, field.name), mask
            )
            for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): to_json_values(item, mask) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json_values(item, mask) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, str):
        return mask(value)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
