"""Encode values of columns for a document, and decode them; exact unless a function says otherwise."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from tidemill.contracts.dtype import DType

_TEXT = frozenset({"String", "Enum", "Categorical"})
_SECONDS = re.compile(r"(-?)PT(\d+)(?:\.(\d{1,6}))?S")


def encode(value: Any) -> Any:
    """Encode a value; kinds that documents don't have become text."""
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            whole, rest = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
            return f"{'-' * (value < timedelta(0))}PT{whole}.{rest:06}S"
        case Decimal():
            return str(value)
        case tuple() | list():
            return [encode(item) for item in value]
        case Mapping():
            return {str(name): encode(item) for name, item in value.items()}
    return value


def decode(value: Any, dtype: DType) -> Any:
    """Decode a document's value for a column type; ValueError if it doesn't fit."""
    if value is None:
        return None
    read = _READ.get(dtype.name)
    if read is not None:
        return read(value, dtype)
    if dtype.is_number:
        return _number(value)
    if dtype.name in _TEXT and isinstance(value, date | datetime):
        # YAML reads unquoted text such as 2026-01-01 as a date.
        return value.isoformat()
    return value


def encode_bound(value: Any) -> Any:
    """Encode a bound as a number; a decimal becomes the nearest float."""
    return float(value) if isinstance(value, Decimal) else encode(value)


def _number(value: Any) -> Any:
    if isinstance(value, int | float):
        return value
    raise ValueError(f"{value!r} is not a number")


def _decimal(value: Any, dtype: DType) -> Any:
    if isinstance(value, int):
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a decimal") from None


def _date(value: Any, dtype: DType) -> date:
    if isinstance(value, datetime):
        raise ValueError(f"{value} is a timestamp, not a date")
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _datetime(value: Any, dtype: DType) -> datetime:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    zone = dtype.args[1]
    if zone is None:
        if moment.tzinfo is not None:
            raise ValueError(f"{value} has a time zone, but the column has none")
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=_zone(str(zone)))
    local = moment.astimezone(_zone(str(zone)))
    return local if local.utcoffset() == moment.utcoffset() else moment


def _zone(name: str) -> Any:
    return UTC if name == "UTC" else ZoneInfo(name)


def _time(value: Any, dtype: DType) -> time:
    return time.fromisoformat(str(value))


def _duration(value: Any, dtype: DType) -> timedelta:
    found = _SECONDS.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{value!r} is not a duration such as PT90S")
    sign, seconds, rest = found.groups()
    length = timedelta(seconds=int(seconds), microseconds=int((rest or "").ljust(6, "0")))
    return -length if sign else length


def _binary(value: Any, dtype: DType) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except ValueError:
        raise ValueError(f"{value!r} is not Base64") from None


_READ: Mapping[str, Callable[[Any, DType], Any]] = {
    "Decimal": _decimal,
    "Date": _date,
    "Datetime": _datetime,
    "Time": _time,
    "Duration": _duration,
    "Binary": _binary,
}
