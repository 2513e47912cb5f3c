"""Which variable a name means: Python's scopes, as far as a single function can tell.

A name is only resolved when the whole function was seen, since a binding may follow its use.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

ScopeKind: TypeAlias = Literal["function", "class", "comprehension"]
# How a name is bound: "kept" are nested functions and classes, whose names can be seen.
How: TypeAlias = Literal["parameter", "kept", "local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A module that is imported inside a function: `item` of it, or its topmost package (`top`)."""

    module: str
    level: int = 0
    item: str = ""
    top: bool = False


class Scope:
    """What one function, class body or comprehension binds."""

    __slots__ = ("bound", "kind", "number", "outer", "parent", "sources")

    def __init__(self, kind: ScopeKind, parent: Scope | None, number: int) -> None:
        self.kind = kind
        self.parent = parent
        self.number = number
        self.bound: dict[str, How] = {}
        self.outer: dict[str, bool] = {}  # declared global (True) or nonlocal (False)
        self.sources: dict[str, list[Import]] = {}

    def bind(self, name: str, how: How = "local") -> None:
        """Note a binding; what can be seen from outside wins over what can't."""
        known = self.bound.get(name)
        if known is None or (known == "local" and how != "local"):
            self.bound[name] = how

    def target(self) -> Scope:
        """Where `:=` binds: outside of comprehensions."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def home(self, name: str) -> Scope | None:
        """The scope that binds `name` as it is seen from here; None for a name from outside."""
        for scope in self.chain():
            if scope.kind == "class" and scope is not self:
                continue  # methods don't see what a class body binds
            if name in scope.outer:
                if scope.outer[name]:
                    return None
                continue
            if name in scope.bound:
                return scope
        return None

    def in_class(self) -> bool:
        """Is there a class body around?"""
        return any(scope.kind == "class" for scope in self.chain())


@dataclass(slots=True, kw_only=True)
class Use:
    """A name where it is used or bound, with the attributes that follow it."""

    scope: Scope | None  # None: outside of the function, as its decorators are
    name: str
    line: int
    path: tuple[str, ...] = ()
    call: ast.Call | None = None
    stored: bool = False
    optional: bool = False
    dynamic: bool = False


class Spelling:
    """The canonical spelling of names: locals are numbered by their first occurrence."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._numbers: dict[tuple[int, str], int] = {}

    def of(self, name: str, home: Scope | None) -> str:
        """The token of a name that `home` binds, or that comes from outside."""
        if home is None:
            return f"${name},"
        how = "attribute" if home.kind == "class" else home.bound[name]
        if how != "local" or self._keep:
            return f"{how[0]}{home.number}.{name},"
        number = self._numbers.setdefault((home.number, name), len(self._numbers))
        return f"%{number},"


def is_private(name: str) -> bool:
    """Is it a name that Python spells otherwise inside of a class?"""
    return name.startswith("__") and not name.endswith("__")
