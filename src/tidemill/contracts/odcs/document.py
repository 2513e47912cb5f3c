"""Read a document so that no field is silently ignored.

Readers take the fields that they represent. Fields that nobody took are listed with their paths at the end,
including fields from later versions of the standard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tidemill.core.counts import plural

_BRIEF = 60


class DocumentNode:
    """An object of a document: its fields, its path, and which fields have been taken."""

    __slots__ = ("_notes", "_parts", "_refused", "_taken", "_value", "path")

    def __init__(self, value: Mapping[str, Any], path: str = "") -> None:
        self.path = path
        self._value = value
        self._taken: set[str] = set()
        self._parts: list[DocumentNode] = []
        self._notes: list[str] = []
        self._refused = ""

    def __contains__(self, key: str) -> bool:
        return self._value.get(key) is not None

    def peek(self, key: str) -> Any:
        """Return the value of a field without taking it."""
        return self._value.get(key)

    def take(self, key: str) -> Any:
        """Take a field: return its value, None if absent, and count it as represented."""
        self._taken.add(key)
        return self._value.get(key)

    def take_if(self, key: str, *values: object) -> None:
        """Take a field only if its value is one of `values`."""
        if self._value.get(key) in values:
            self._taken.add(key)

    def part(self, key: str) -> DocumentNode:
        """Take the object in a field as a node; an empty one if absent."""
        return self._child(self.take(key) or {}, self.field_path(key))

    def parts(self, key: str) -> list[DocumentNode]:
        """Take the objects in the list of a field as nodes."""
        items = self.take(key) or []
        return [self._child(item, f"{self.field_path(key)}[{i}]") for i, item in enumerate(items)]

    def _child(self, value: Any, path: str) -> DocumentNode:
        node = DocumentNode(value if isinstance(value, Mapping) else {}, path)
        if not isinstance(value, Mapping):
            node.refuse(f"{_brief(value)} is not an object with fields")
        self._parts.append(node)
        return node

    def field_path(self, key: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def note(self, key: str, why: str) -> None:
        """Take a field that is only partly represented, and list the reason."""
        self._taken.add(key)
        self._notes.append(f"{self.field_path(key)}: {why}")

    def refuse(self, why: str) -> None:
        """List the whole object with one reason, even if some of its fields were taken."""
        self._refused = why

    def accept(self) -> None:
        """Take all fields of the object."""
        self._refused = ""
        self._taken.update(self._value)

    def refuse_if_untaken(self) -> None:
        """List the object on one line if none of its fields have been taken."""
        if not self._taken and not self._refused:
            self.refuse(", ".join(f"{key} {_brief(value)}" for key, value in self._value.items()))

    def unrepresented(self) -> Iterator[str]:
        """Yield a line, with its path, for each part that isn't represented."""
        if self._refused:
            yield f"{self.path}: {self._refused}"
            return
        yield from self._notes
        for key, value in self._value.items():
            if key not in self._taken and value not in (None, [], {}):
                yield f"{self.field_path(key)}: {_brief(value)}"
        for part in self._parts:
            yield from part.unrepresented()


def _brief(value: Any) -> str:
    """Summarise a value on one line."""
    if isinstance(value, list):
        return plural(len(value), "entry")
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(str, value))}"
    text = " ".join(str(value).split())
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 4]} ..."
