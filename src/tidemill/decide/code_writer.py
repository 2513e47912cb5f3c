"""Writes a function's syntax tree as text in which only what counts is left.

The text is a list of strings and of uses of names; these are spelled once all bindings are known.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from tidemill.decide.code_scopes import Import, Names

# Whoever calls these may see names of locals.
_SEES_LOCALS = frozenset(("locals", "vars", "dir", "eval", "exec", "sql", "SQLContext"))
_SEES_LOCALS_TOO = frozenset(("eval", "query", "sql", "SQLContext"))
_SEES_SOURCE = frozenset(("__doc__", "__annotations__", "__code__", "__globals__", "__closure__"))
# Decorators that don't look at annotations.
_PLAIN = frozenset(
    ("property", "staticmethod", "classmethod", "cache", "lru_cache", "cached_property", "wraps")
    + ("contextmanager", "setter", "getter", "deleter", "abstractmethod", "override")
)
_SKIPPED = frozenset(("ctx", "type_comment", "kind", "annotation", "returns"))
_BY_NAME = "it looks up variables by their names"
_BY_SOURCE = "it looks at source or annotations, which don't count otherwise"

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Writer(Names):
    """One walk over a function."""

    def root(self, node: Definition | ast.Lambda, decorators: Sequence[ast.expr]) -> None:
        """The function itself: without its name and its defaults, which are seen from outside."""
        self.out.append(f"{type(node).__name__}(")
        annotated = self._decorators(decorators)
        if annotated and not isinstance(node, ast.Lambda):
            self._annotations(node)
        self._inside(node)

    def function(self, node: Definition) -> None:
        """A function inside: its name can be seen, its defaults are evaluated around it."""
        self.store(node.name, node.lineno, "kept")
        self.out.append(f"{type(node).__name__}(")
        annotated = self._decorators(node.decorator_list)
        self._many([*node.args.defaults, *node.args.kw_defaults])
        if annotated:
            self._annotations(node)
        self._inside(node)

    def lambda_(self, node: ast.Lambda) -> None:
        """A function inside without a name."""
        self.out.append("Lambda(")
        self._many([*node.args.defaults, *node.args.kw_defaults])
        self._inside(node)

    def class_(self, node: ast.ClassDef) -> None:
        """A class inside: what its body binds can be seen."""
        self.store(node.name, node.lineno, "kept")
        self.out.append("ClassDef(")
        self._decorators(node.decorator_list)
        outside = self.scope
        self._type_parameters(node)
        self._many([*node.bases, *node.keywords])
        self.enter("class")
        self._many(node.body)
        self.scope = outside
        self.out.append(")")

    def comprehension(self, node: Comprehension) -> None:
        """Its first iterable is evaluated around it; all else sees its own variables."""
        self.out.append(f"{type(node).__name__}(")
        first = node.generators[0]
        self.visit(first.iter)
        outside = self.enter("comprehension")
        for generator in node.generators:
            self.out.append(f"for{generator.is_async}(")
            if generator is not first:
                self.visit(generator.iter)
            self.visit(generator.target)
            self._many(generator.ifs)
        for field in ("elt", "key", "value"):
            self._field(getattr(node, field, None))
        self.scope = outside
        self.out.append(")")

    def _inside(self, node: Definition | ast.Lambda) -> None:
        outside = self.scope
        self._type_parameters(node)
        self.enter("function")
        args = node.args
        for kind in (args.posonlyargs, args.args, [args.vararg], args.kwonlyargs, [args.kwarg]):
            self.out.append("|")
            for arg in filter(None, kind):
                self.bind(arg.arg, "parameter")
                self.out.append(f"{arg.arg},")
        self._field(node.body)
        self.scope = outside
        self.out.append(")")

    def _type_parameters(self, node: ast.AST) -> None:
        found = getattr(node, "type_params", ())
        if found:
            self.enter("function")
            for parameter in found:
                self.store(parameter.name, parameter.lineno, "kept")
                self._apart([getattr(parameter, "bound", None)])
                self._apart([getattr(parameter, "default_value", None)])

    def _decorators(self, decorators: Sequence[ast.expr]) -> bool:
        """Write them; may one of them look at annotations?"""
        self._apart(decorators)
        return any(_last_name(decorator) not in _PLAIN for decorator in decorators)

    def _annotations(self, node: Definition) -> None:
        args = node.args
        arguments = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
        self._apart([*(arg and arg.annotation for arg in arguments), node.returns])

    def _apart(self, nodes: Iterable[ast.expr | None]) -> None:
        """Names in decorators and annotations may be bound where the function was made."""
        before, self.optional = self.optional, True
        self._many(nodes)
        self.optional = before

    def name(self, node: ast.Name) -> None:
        """A name alone."""
        if isinstance(node.ctx, ast.Load):
            self.sees_locals |= node.id in _SEES_LOCALS
            self.load(node.id, node.lineno)
        else:
            self.store(node.id, node.lineno)

    def attribute(self, node: ast.Attribute, call: ast.Call | None = None) -> None:
        """Attributes are followed to the name that they are read from, if there is one."""
        path, base = _path(node)
        self.out.append(f".{'.'.join(path)}(")
        self._look(path, node.lineno, call)
        if isinstance(base, ast.Name):
            self.load(base.id, base.lineno, path, call)
        else:
            self.visit(base)
            for name in path[:-1]:
                self.attributes.append((name, node.lineno, None))
            self.attributes.append((path[-1], node.lineno, call))
        self.out.append(")")

    def _look(self, path: Sequence[str], line: int, call: ast.Call | None) -> None:
        self.sees_locals |= not _SEES_LOCALS_TOO.isdisjoint(path)
        for name in _SEES_SOURCE.intersection(path):
            self.problems.append((name, line, _BY_SOURCE))
        # pandas: frame.query("delay > @LIMIT")
        if call is not None and call.args and path[-1] in ("query", "eval"):
            text = call.args[0]
            if not isinstance(text, ast.Constant) or "@" in str(text.value):
                self.problems.append((path[-1], line, _BY_NAME))

    def call(self, node: ast.Call) -> None:
        """What is called knows whether it is given a seed."""
        self.out.append("Call(")
        if isinstance(node.func, ast.Attribute):
            self.attribute(node.func, node)
        elif isinstance(node.func, ast.Name):
            self.sees_locals |= node.func.id in _SEES_LOCALS
            self.load(node.func.id, node.lineno, (), node)
        else:
            self.visit(node.func)
        self._many(self._arguments(node))
        self.out.append(";")
        self._many(node.keywords)
        self.out.append(")")

    def _arguments(self, node: ast.Call) -> list[ast.expr]:
        """`getattr(module, "name")` reads like `module.name`; with a computed name it is noted."""
        args = node.args
        if not (isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(args) > 1):
            return args
        subject, name = args[0], args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            read = ast.Attribute(subject, name.value, ast.Load())
            return [ast.copy_location(read, node), *args[2:]]
        path, base = _path(subject)
        if isinstance(base, ast.Name):
            use = self.made(base.id, node.lineno, path)
            use.dynamic = True
            self.silent.append(use)
        return args

    def keyword(self, node: ast.keyword) -> None:
        """A named argument; one of them makes Polars look around."""
        if node.arg == "register_globals":
            self.problems.append((node.arg, node.lineno, _BY_NAME))
        self.out.append(f"{node.arg}=")
        self.visit(node.value)

    def walrus(self, node: ast.NamedExpr) -> None:
        """`:=` binds outside of comprehensions."""
        if self.scope is not None:
            self.scope.target().bind(node.target.id)
        self.out.append("NamedExpr(")
        self.out.append(self.made(node.target.id, node.lineno, stored=True))
        self.visit(node.value)
        self.out.append(")")

    def outer(self, node: ast.Global | ast.Nonlocal) -> None:
        """Names that belong to a scope around."""
        if self.scope is not None:
            self.scope.outer |= dict.fromkeys(node.names, isinstance(node, ast.Global))

    def binder(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping) -> None:
        """What binds a name that is no node of its own."""
        self.out.append(f"{type(node).__name__}(")
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        self.store_maybe(name, node.lineno)
        for field in node._fields:
            if field not in ("name", "rest"):
                self._field(getattr(node, field))
        self.out.append(")")

    def import_(self, node: ast.Import) -> None:
        """A module under its topmost name, or under a name of the function's choice."""
        for alias in node.names:
            source = Import(module=alias.name, top=alias.asname is None)
            self._import(alias.asname or alias.name.partition(".")[0], node.lineno, source)

    def import_from(self, node: ast.ImportFrom) -> None:
        """Something out of a module."""
        for alias in node.names:
            source = Import(module=node.module or "", level=node.level, item=alias.name)
            self._import(alias.asname or alias.name, node.lineno, source)

    def _import(self, name: str, line: int, source: Import) -> None:
        self.imported(name, line, source)
        self.out.append(
            f"import({source.level},{source.module},{source.item},{source.top:d},",
        )
        self.store(name, line)
        self.out.append(")")

    def annotated(self, node: ast.AnnAssign) -> None:
        """The annotation counts in a class body only, where it may declare a field."""
        if self.scope is not None and self.scope.kind == "class":
            self.out.append("AnnAssign(")
            self.visit(node.target)
            self._apart([node.annotation])
            self._field(node.value)
            self.out.append(")")
        elif node.value is not None:
            self.out.append("Assign([")
            self.visit(node.target)
            self.out.append("]")
            self.visit(node.value)
            self.out.append(")")
        elif isinstance(node.target, ast.Name):
            self.bind(node.target.id)

    def statement(self, node: ast.Expr) -> None:
        """Docstrings and other constants have no effect."""
        if not isinstance(node.value, ast.Constant):
            self.out.append("Expr(")
            self.visit(node.value)
            self.out.append(")")

    def nothing(self, node: ast.Pass) -> None:
        """It has no effect."""

    def constant(self, node: ast.Constant) -> None:
        """A literal, with its type."""
        value = node.value
        text = f"{value:x}" if type(value) is int else repr(value)
        self.out.append(f"{type(value).__name__}:{text},")

    def visit(self, node: ast.AST) -> None:
        """Write a node by its own method, or else all its fields."""
        method = _METHODS.get(type(node))
        if method is not None:
            method(self, node)
            return
        self.out.append(f"{type(node).__name__}(")
        for field in node._fields:
            if field not in _SKIPPED:
                self._field(getattr(node, field, None))
        self.out.append(")")

    def _field(self, value: Any) -> None:
        if isinstance(value, ast.AST):
            self.visit(value)
        elif isinstance(value, list):
            self._many(value)
        else:
            self.out.append(f"{value!r},")

    def _many(self, nodes: Iterable[Any]) -> None:
        self.out.append("[")
        for node in nodes:
            self._field(node)
        self.out.append("]")


_METHODS: dict[type[ast.AST], Callable[[Any, Any], None]] = {
    ast.FunctionDef: Writer.function,
    ast.AsyncFunctionDef: Writer.function,
    ast.Lambda: Writer.lambda_,
    ast.ClassDef: Writer.class_,
    ast.ListComp: Writer.comprehension,
    ast.SetComp: Writer.comprehension,
    ast.GeneratorExp: Writer.comprehension,
    ast.DictComp: Writer.comprehension,
    ast.Name: Writer.name,
    ast.Attribute: Writer.attribute,
    ast.Call: Writer.call,
    ast.keyword: Writer.keyword,
    ast.NamedExpr: Writer.walrus,
    ast.Global: Writer.outer,
    ast.Nonlocal: Writer.outer,
    ast.ExceptHandler: Writer.binder,
    ast.MatchAs: Writer.binder,
    ast.MatchStar: Writer.binder,
    ast.MatchMapping: Writer.binder,
    ast.Import: Writer.import_,
    ast.ImportFrom: Writer.import_from,
    ast.AnnAssign: Writer.annotated,
    ast.Expr: Writer.statement,
    ast.Pass: Writer.nothing,
    ast.Constant: Writer.constant,
}


def _path(node: ast.expr) -> tuple[list[str], ast.expr]:
    """The attributes that are read, and what they are read from."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    return path, node


def _last_name(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
