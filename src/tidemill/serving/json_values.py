"""Values of columns as JSON: as a request writes them, and as a finding shows them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from tidemill.core.printable import shorten

# Characters of a value in a finding.
_LONGEST = 200


def json_value(value: Any) -> Any:
    """Return a value of a column as a request writes it."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return None
        case float() if not isfinite(value):
            return None
        case list():
            return [json_value(item) for item in value]
        case dict():
            return {name: json_value(item) for name, item in value.items()}
    return value


def shown_value(value: Any) -> Any:
    """Return a value of a column as a finding shows it."""
    match value:
        case bytes():
            return f"{len(value):,} bytes"
        case float() if not isfinite(value):
            return str(value)
        case str():
            return shorten(value, _LONGEST)
        case list() | dict():
            return shorten(str(value), _LONGEST)
    return json_value(value)
