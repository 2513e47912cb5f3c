"""JSON Schemas of records, as `to_json_values` writes them."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_PLAIN: Mapping[object, Mapping[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    # What isn't finite is null.
    float: {"type": ["number", "null"]},
    bytes: {"type": "string"},
    type(None): {"type": "null"},
}


class RecordSchemas:
    """Makes schemas; those of records are `found` by name, to which the others refer."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def schema_of(self, kind: Any) -> Mapping[str, Any]:
        """The schema of values of a type; one that says nothing where the type doesn't tell."""
        if kind in _PLAIN:
            return _PLAIN[kind]
        origin, inside = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.schema_of(each) for each in inside]}
        if origin is Literal:
            return {"enum": [*inside]}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.schema_of(inside[1])}
        if isinstance(origin, type) and issubclass(origin, Collection):
            return {"type": "array", "items": self._item(inside)}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"enum": [each.value for each in kind]}
        if isinstance(kind, type) and is_dataclass(kind):
            return self._reference(kind)
        return {}

    def _item(self, inside: tuple[Any, ...]) -> Mapping[str, Any]:
        known = [each for each in inside if each is not Ellipsis]
        if len(known) == 1 and not isinstance(known[0], TypeVar):
            return self.schema_of(known[0])
        return {"anyOf": [self.schema_of(each) for each in known]}

    def _reference(self, kind: type[Any]) -> Mapping[str, Any]:
        name = kind.__name__
        if name not in self.found:
            # A record may hold others of its kind.
            self.found[name] = {}
            self.found[name] = self._record(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def _record(self, kind: type[Any]) -> Mapping[str, Any]:
        try:
            hints = get_type_hints(kind)
        except NameError:
            # Types that are imported for checking only.
            hints = {}
        properties = {
            each.name: self.schema_of(hints.get(each.name, object)) for each in fields(kind)
        }
        return {"type": "object", "required": [*properties], "properties": properties}
