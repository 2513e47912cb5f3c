"""Follow code breadth first through everything that it references."""

from __future__ import annotations

from collections.abc import Container
from types import FunctionType
from typing import Any

from tidemill.analysis.code.classes import class_part
from tidemill.analysis.code.functions import function_part
from tidemill.analysis.code.hidden_inputs import (
    Touch,
    TouchKind,
    Unresolved,
    blind_reason,
    touch_kind,
)
from tidemill.analysis.code.module_origin import origin_of_module, package_of, public_name
from tidemill.analysis.code.mutable_state import Keeper, can_change
from tidemill.analysis.code.value_identity import value_part
from tidemill.core.fingerprint import Part


class _Walker:
    """Follows code breadth first; whatever may lead back to itself is numbered and done once."""

    def __init__(self, exclude: Container[str], *, where: str = "", named: bool = False) -> None:
        self.exclude = exclude
        # Whether the name of what it begins with counts.
        self._named = named
        self.queue: list[tuple[Any, str]] = []
        self.packages: dict[tuple[str, str], None] = {}
        self.unresolved: dict[Unresolved, None] = {}
        self.touches: dict[Touch, None] = {}
        self.keepers: list[Keeper] = []
        self.where = where
        self.seeded = False
        self.typed = False
        self.label = ""
        self._numbers: dict[int, int] = {}
        self._open: dict[int, int] = {}
        self._kept = 0

    def entity(self, value: Any, where: str) -> Part:
        """A function, class or sentinel, by what it uses."""
        self.where = where
        self.keepers.append(Keeper(value, getattr(value, "__qualname__", ""), where))
        if isinstance(value, FunctionType):
            named = self._named or value is not self.queue[0][0]
            return function_part(value, self, named=named)
        self.label = getattr(value, "__qualname__", "")
        return class_part(value, self) if isinstance(value, type) else "sentinel"

    def value(self, value: Any, label: str = "") -> Part:
        """What identifies any value; one that contains itself refers to where it began."""
        key = id(value)
        if key in self._open:
            return ["again", self._open[key]]
        before = self.label
        self.label = label or before
        self._open[key] = len(self._open)
        # What such a value holds counts with it.
        kept = can_change(value)
        if kept and not self._kept:
            self.keepers.append(Keeper(value, self.label, self.where))
        self._kept += kept
        try:
            return value_part(value, self)
        finally:
            del self._open[key]
            self._kept -= kept
            self.label = before

    def later(self, value: Any) -> Part:
        """The number of what is followed once; the queue keeps it alive, so its id is its own."""
        number = self._numbers.setdefault(id(value), len(self.queue))
        if number == len(self.queue):
            self.queue.append((value, self.where))
        return ["follow", number]

    def named(self, name: str) -> Part:
        """What isn't the project's; its package counts, and so does what it reaches for."""
        self.package(name)
        if self.typed:
            return ["named", public_name(name)]
        reason = blind_reason(name)
        if reason is not None:
            return self.refuse(reason)
        kind = touch_kind(name, seeded=self.seeded)
        if kind is not None:
            self.touch(kind)
        return ["named", public_name(name)]

    def package(self, name: str) -> None:
        """Count the package that a module belongs to, if it belongs to one."""
        top = name.partition(".")[0]
        if origin_of_module(top) == "package":
            package = package_of(top)
            self.packages[package] = None
            if not package[1]:
                self.refuse(f"the version of the package {top!r} can't be found out")

    def touch(self, kind: TouchKind) -> None:
        """Name what the code reaches for."""
        self.touches[Touch(name=self.label, kind=kind, where=self.where)] = None

    def refuse(self, reason: str) -> Part:
        """Name what can't be fingerprinted."""
        self.unresolved[Unresolved(name=self.label, reason=reason, where=self.where)] = None
        return ["unresolved", self.label]
