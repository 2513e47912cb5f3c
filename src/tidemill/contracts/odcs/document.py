"""A document that is read so that nothing of it is passed over in silence.

Whoever reads a field takes it. What nobody took at the end isn't represented, and is listed with its
path: so a field that this version of the standard doesn't have yet is listed, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_BRIEF = 60


class Node:
    """One object of a document: what it says, where it stands, and what of it has been read."""

    __slots__ = ("_notes", "_parts", "_refused", "_taken", "_value", "path")

    def __init__(self, value: Mapping[str, Any], path: str = "") -> None:
        self.path = path
        self._value = value
        self._taken: set[str] = set()
        self._parts: list[Node] = []
        self._notes: list[str] = []
        self._refused = ""

    def __contains__(self, key: str) -> bool:
        return self._value.get(key) is not None

    def peek(self, key: str) -> Any:
        """The value of a field, which stays untaken."""
        return self._value.get(key)

    def take(self, key: str) -> Any:
        """The value of a field, which is represented from now on; None when there is none."""
        self._taken.add(key)
        return self._value.get(key)

    def take_if(self, key: str, *values: object) -> None:
        """Take a field when it says one of `values`; whatever else it says stays untaken."""
        if self._value.get(key) in values:
            self._taken.add(key)

    def part(self, key: str) -> Node:
        """The object in a field, read by itself; an empty one when there is none."""
        return self._inside(key, self.take(key) or {}, self.at(key))

    def parts(self, key: str) -> list[Node]:
        """The objects in the list of a field, each read by itself."""
        items = self.take(key) or []
        return [self._inside(key, item, f"{self.at(key)}[{i}]") for i, item in enumerate(items)]

    def _inside(self, key: str, value: Any, path: str) -> Node:
        node = Node(value if isinstance(value, Mapping) else {}, path)
        if not isinstance(value, Mapping):
            node.refuse(f"{_brief(value)} is no object with fields")
        self._parts.append(node)
        return node

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def note(self, key: str, why: str) -> None:
        """List a field that was read, but says more than can be represented."""
        self._taken.add(key)
        self._notes.append(f"{self.at(key)}: {why}")

    def refuse(self, why: str) -> None:
        """List the whole object by one line, whatever was taken of it."""
        self._refused = why

    def accept(self) -> None:
        """Take the whole object."""
        self._refused = ""
        self._taken.update(self._value)

    def whole(self) -> None:
        """List the object by one line, if nothing of it has been taken."""
        if not self._taken and not self._refused:
            self.refuse(", ".join(f"{key} {_brief(value)}" for key, value in self._value.items()))

    def left(self) -> Iterator[str]:
        """What isn't represented: a line for each field, with its path."""
        if self._refused:
            yield f"{self.path}: {self._refused}"
            return
        yield from self._notes
        for key, value in self._value.items():
            if key not in self._taken and value not in (None, [], {}):
                yield f"{self.at(key)}: {_brief(value)}"
        for part in self._parts:
            yield from part.left()


def _brief(value: Any) -> str:
    """What a value is, on one line."""
    if isinstance(value, list):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(str, value))}"
    text = " ".join(str(value).split())
    return text if len(text) <= _BRIEF else f"{text[: _BRIEF - 4]} ..."
