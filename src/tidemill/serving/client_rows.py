"""Encode the rows that a client sends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from tidemill.core.errors import UsageError


def encode_rows(rows: Any) -> bytes:
    """Encode rows as a request has them; UsageError for what isn't rows.

    Dates and times become ISO text, durations seconds, decimals text, and NaN null. JSON has no infinite
    numbers.
    """
    listed = _listed(rows)
    odd = next((row for row in listed if not isinstance(row, Mapping)), None)
    if odd is not None:
        raise UsageError(f"each row is a mapping of columns to values, not {odd!r}")
    try:
        body = msgspec.json.encode(
            [{name: _seconds(value) for name, value in row.items()} for row in listed],
            enc_hook=_plain_value,
        )
    except (TypeError, ValueError, msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise UsageError(f"a value of the rows can't be sent: {error}") from error
    if b"null" in body:
        _require_finite(listed)
    return body


def _listed(rows: Any) -> list[Any]:
    """The rows of a Polars or pandas frame, of an iterable, or a single one."""
    if hasattr(rows, "collect_schema") and hasattr(rows, "collect"):
        rows = rows.collect()
    if hasattr(rows, "to_dicts"):
        rows = rows.to_dicts()
    elif hasattr(rows, "notna") and hasattr(rows, "columns"):
        # A cell without a value is None in columns of any type.
        rows = rows.astype(object).where(rows.notna(), None).to_dict("records")
    if isinstance(rows, Mapping):
        return [rows]
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes):
        kind = type(rows).__name__
        raise UsageError(f"rows are mappings, or a Polars or pandas frame, not {kind}")
    return list(rows)


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _plain_value(value: Any) -> Any:
    """A scalar of NumPy or a time of pandas as a value of Python; TypeError for other objects."""
    if isinstance(value, date | time):
        # Of a type of its own, such as pandas has; a missing one differs from itself.
        return value.isoformat() if value == value else None
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        match value.dtype.kind:
            case "M":
                # As text, also where its unit is finer than that of Python.
                return str(value)
            case "m":
                return value.astype("m8[us]").item().total_seconds()
        return value.item()
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def _require_finite(rows: Iterable[Mapping[str, Any]]) -> None:
    """Raise UsageError for an infinite number, which would be sent as null."""
    for number, row in enumerate(rows):
        for name, value in row.items():
            if not isinstance(value, str | bool | Decimal) and _is_infinite(value):
                raise UsageError(
                    f"row {number}: {name} is {value}, and JSON has no infinite numbers: send the rows as "
                    "binary tensors or an Arrow stream"
                )


def _is_infinite(value: Any) -> bool:
    try:
        return math.isinf(value)
    except (TypeError, OverflowError):
        return False
