"""Python's scopes within one function: which variable a name refers to.

Names are resolved after the whole function was read, since a binding may follow a use.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Literal, TypeAlias

from tidemill.analysis.code.call_arguments import Role
from tidemill.core.lazy_dataclass import dataclass

ScopeKind: TypeAlias = Literal["function", "class", "comprehension"]
# How a name is bound; "kept" are nested functions and classes, whose names are visible outside.
BindingKind: TypeAlias = Literal["parameter", "kept", "local"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import inside a function: `item` of a module, or its topmost package (`top`)."""

    module: str
    level: int = 0
    item: str = ""
    top: bool = False


class Scope:
    """The names that one function, class body or comprehension binds."""

    __slots__ = ("aliases", "bound", "kind", "number", "objects", "outer", "parent", "sources")

    def __init__(self, kind: ScopeKind, parent: Scope | None, number: int) -> None:
        self.kind = kind
        self.parent = parent
        self.number = number
        self.bound: dict[str, BindingKind] = {}
        self.outer: dict[str, bool] = {}  # declared global (True) or nonlocal (False)
        self.sources: dict[str, list[Import]] = {}
        self.objects: set[str] = set()  # assigned a bare `object()`
        self.aliases: dict[str, list[Chain]] = {}  # assigned a value from elsewhere

    def bind(self, name: str, how: BindingKind = "local") -> None:
        """Record a binding; one that is visible outside takes precedence over a local one."""
        known = self.bound.get(name)
        if known is None or (known == "local" and how != "local"):
            self.bound[name] = how

    def walrus_scope(self) -> Scope:
        """The scope in which `:=` binds: the nearest one that is no comprehension."""
        scope = self
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        return scope

    def chain(self) -> Iterator[Scope]:
        """This scope and its enclosing scopes, from the inside out."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def binding_scope(self, name: str) -> Scope | None:
        """The scope whose binding of `name` is visible here; None for a name from outside the function."""
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
        """Whether a class body encloses this scope."""
        return any(scope.kind == "class" for scope in self.chain())


@dataclass(slots=True, kw_only=True)
class NameUse:
    """One use or binding of a name, with the attributes that are read from it."""

    scope: Scope | None  # None for the decorators, which are outside of the function
    name: str
    line: int
    path: tuple[str, ...] = ()
    call: ast.Call | None = None
    stored: bool = False
    optional: bool = False
    dynamic: bool = False
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A name, the attributes that are read from it, and whether something `deep` inside of that is meant."""

    use: NameUse
    path: tuple[str, ...] = ()
    deep: bool = False


class Spelling:
    """Spells names canonically: local variables are numbered by their first occurrence."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._numbers: dict[tuple[int, str], int] = {}

    def spell(self, name: str, home: Scope | None) -> str:
        """The spelling of a name that the scope `home` binds (None: a name from outside)."""
        if home is None:
            return f"${name},"
        how = "attribute" if home.kind == "class" else home.bound[name]
        if how != "local" or self._keep:
            return f"{how[0]}{home.number}.{name},"
        number = self._numbers.setdefault((home.number, name), len(self._numbers))
        return f"%{number},"


def is_mangled(name: str) -> bool:
    """Whether Python mangles the name inside a class."""
    return name.startswith("__") and not name.endswith("__")
