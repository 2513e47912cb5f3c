"""Read and write custom properties, named `tidemill...`, for terms that the standard doesn't have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidemill.contracts.odcs.document import DocumentNode


class CustomProperties:
    """The custom properties of an object; those of other tools, and those not taken, are listed."""

    __slots__ = ("_found",)

    def __init__(self, node: DocumentNode) -> None:
        self._found: dict[str, DocumentNode] = {}
        for item in node.parts("customProperties"):
            name = str(item.peek("property"))
            item.refuse(f"the custom property {name}")
            if name.startswith(ENGINE):
                self._found[name.removeprefix(ENGINE)] = item

    def take(self, name: str, valid: Callable[[Any], bool] = lambda value: True) -> Any:
        """Take the value of `tidemillName`; None if absent or invalid."""
        item = self._found.get(name[0].upper() + name[1:])
        if item is None:
            return None
        value = item.peek("value")
        if not valid(value):
            item.refuse(f"the custom property {item.peek('property')} can't be {value!r}")
            return None
        item.accept()
        return value

    def refuse(self, name: str, why: str) -> None:
        """List a property that was taken, with a reason."""
        self._found[name[0].upper() + name[1:]].refuse(why)


# An approved version that tools without support for 3.2 can read.
API_VERSION = "v3.1.0"
ENGINE = "tidemill"
SEVERITIES = {"fail": "error", "quarantine": "error", "warn": "warning"}
BOUNDS = {
    "min": "minimum",
    "max": "maximum",
    "min_exclusive": "exclusiveMinimum",
    "max_exclusive": "exclusiveMaximum",
}


def custom_properties(**fields: Any) -> list[dict[str, Any]]:
    """Return custom properties, `tidemillOnFail` for `onFail`, for the fields that aren't None."""
    return [
        {"property": f"{ENGINE}{name[0].upper()}{name[1:]}", "value": value}
        for name, value in fields.items()
        if value is not None
    ]
