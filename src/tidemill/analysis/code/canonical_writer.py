"""Write the canonical text of a function, and collect the names in it.

The text is a list of strings and uses of names. The names are spelled once all bindings are known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from tidemill.analysis.code.call_arguments import Role
from tidemill.analysis.code.scopes import BindingKind, Chain, Import, NameUse, Scope, ScopeKind
from tidemill.analysis.code.state_writes import Written

Methods: TypeAlias = Mapping[type[ast.AST], Callable[[Any, Any], None]]

_SKIPPED = frozenset(("ctx", "type_comment", "kind", "annotation", "returns"))


class CanonicalWriter:
    """Writes each syntax node by the method for its type, or by all its fields."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods
        self.out: list[str | NameUse] = []
        self.imports: list[tuple[str, int, Import]] = []
        self.attributes: list[tuple[Sequence[str], int, ast.Call | None]] = []
        self.problems: list[tuple[str, int, str]] = []
        # What calls do with some of their arguments, by the id of the node.
        self.roles: dict[int, Role] = {}
        # Changes of values, and calls that pass some on.
        self.writes: list[Written] = []
        self.calls: list[tuple[Chain, tuple[tuple[int | str, Chain], ...]]] = []
        self.root: Scope | None = None
        self.sees_locals = False
        self.scope: Scope | None = None
        self.optional = False
        self._scopes = 0

    def enter(self, kind: ScopeKind) -> Scope | None:
        """Enter a new scope; returns the enclosing one, to go back to."""
        outside = self.scope
        self._scopes += 1
        self.scope = Scope(kind, outside, self._scopes)
        return outside

    def bind(self, name: str, how: BindingKind = "local") -> None:
        """Bind a name in the current scope."""
        assert self.scope is not None  # a decorator binds by `:=` only
        self.scope.bind(name, how)

    def store(self, name: str, line: int, how: BindingKind = "local") -> None:
        """Bind a name, and write it."""
        self.bind(name, how)
        self.out.append(self.name_use(name, line, stored=True))

    def store_optional(self, name: str | None, line: int) -> None:
        """Bind and write an optional name."""
        if name is None:
            self.out.append("~")
        else:
            self.store(name, line)

    def load(
        self,
        name: str,
        line: int,
        path: Sequence[str] = (),
        call: ast.Call | None = None,
        role: Role | None = None,
    ) -> None:
        """Write a name that is read, and the attributes that are read from it."""
        use = self.name_use(name, line, path, call)
        use.role = role
        self.out.append(use)

    def name_use(
        self,
        name: str,
        line: int,
        path: Sequence[str] = (),
        call: ast.Call | None = None,
        *,
        stored: bool = False,
    ) -> NameUse:
        """The use of a name in the current scope."""
        return NameUse(
            scope=self.scope,
            name=name,
            line=line,
            path=tuple(path),
            call=call,
            stored=stored,
            optional=self.optional,
        )

    def record_import(self, name: str, line: int, source: Import) -> None:
        """Record that an import binds a name in the current scope."""
        self.imports.append((name, line, source))
        assert self.scope is not None
        self.scope.sources.setdefault(name, []).append(source)

    def visit(self, node: ast.AST) -> None:
        """Write a node by the method for its type, or by all its fields."""
        method = self._methods.get(type(node))
        if method is not None:
            method(self, node)
        else:
            self.write_fields(node)

    def write_fields(self, node: ast.AST) -> None:
        """Write a node by all its fields."""
        self.out.append(f"{type(node).__name__}(")
        for field in node._fields:
            if field not in _SKIPPED:
                self.write_field(getattr(node, field, None))
        self.out.append(")")

    def write_field(self, value: Any) -> None:
        if isinstance(value, ast.AST):
            self.visit(value)
        elif isinstance(value, list):
            self.write_list(value)
        else:
            self.out.append(f"{value!r},")

    def write_list(self, nodes: Iterable[Any]) -> None:
        self.out.append("[")
        for node in nodes:
            self.write_field(node)
        self.out.append("]")

    def write_optional(self, nodes: Iterable[ast.expr | None]) -> None:
        """Write decorators or annotations, whose names may be bound where the function was defined."""
        before, self.optional = self.optional, True
        self.write_list(nodes)
        self.optional = before
