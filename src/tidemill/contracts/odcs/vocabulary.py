"""What the standard has no place for: the custom properties whose names begin with `tidemill`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tidemill.contracts.odcs.document import Node


class Customs:
    """The custom properties of an object; those of others, and those not taken, stay listed."""

    __slots__ = ("_found",)

    def __init__(self, node: Node) -> None:
        self._found: dict[str, Node] = {}
        for item in node.parts("customProperties"):
            name = str(item.peek("property"))
            item.refuse(f"the custom property {name}")
            if name.startswith(ENGINE):
                self._found[name.removeprefix(ENGINE)] = item

    def take(self, name: str, valid: Callable[[Any], bool] = lambda value: True) -> Any:
        """The value of `tidemillName`; None when there is none, or none that is valid."""
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
        """List a property that was taken after all."""
        self._found[name[0].upper() + name[1:]].refuse(why)


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
