"""The standard's words for what contracts say, and the names of what it has no word for."""

from __future__ import annotations

from typing import Any

# Approved, and read by tools that don't know 3.2 yet.
API_VERSION = "v3.1.0"
ENGINE = "tidemill"
SEVERITIES = {"fail": "error", "quarantine": "error", "warn": "warning"}
BOUNDS = {
    "min": "minimum",
    "max": "maximum",
    "min_exclusive": "exclusiveMinimum",
    "max_exclusive": "exclusiveMaximum",
}


def custom(**fields: Any) -> list[dict[str, Any]]:
    """Custom properties, `tidemillOnFail` for `onFail`, of the fields that aren't None."""
    return [
        {"property": f"{ENGINE}{name[0].upper()}{name[1:]}", "value": value}
        for name, value in fields.items()
        if value is not None
    ]
