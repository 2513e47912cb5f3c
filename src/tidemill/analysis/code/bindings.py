"""What binds names: functions, classes, comprehensions, imports, and targets that are no nodes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeAlias

from tidemill.analysis.code.canonical_writer import Methods, Walk
from tidemill.analysis.code.scopes import Import

# Decorators that don't look at annotations.
_PLAIN = frozenset(
    {"property", "staticmethod", "classmethod", "cache", "lru_cache", "cached_property", "wraps"}
    | {"contextmanager", "setter", "getter", "deleter", "abstractmethod", "override"}
)

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
Binder: TypeAlias = ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping


def root(walk: Walk, node: Definition | ast.Lambda, decorators: Sequence[ast.expr]) -> None:
    """The function itself: without its name and its defaults, which are seen from outside."""
    walk.out.append(f"{type(node).__name__}(")
    annotated = _decorators(walk, decorators)
    if annotated and not isinstance(node, ast.Lambda):
        _annotations(walk, node)
    _inside(walk, node)


def function(walk: Walk, node: Definition) -> None:
    """A function inside: its name can be seen, its defaults are evaluated around it."""
    walk.store(node.name, node.lineno, "kept")
    walk.out.append(f"{type(node).__name__}(")
    annotated = _decorators(walk, node.decorator_list)
    walk.many([*node.args.defaults, *node.args.kw_defaults])
    if annotated:
        _annotations(walk, node)
    _inside(walk, node)


def lambda_(walk: Walk, node: ast.Lambda) -> None:
    """A function inside without a name."""
    walk.out.append("Lambda(")
    walk.many([*node.args.defaults, *node.args.kw_defaults])
    _inside(walk, node)


def class_(walk: Walk, node: ast.ClassDef) -> None:
    """A class inside: what its body binds can be seen."""
    walk.store(node.name, node.lineno, "kept")
    walk.out.append("ClassDef(")
    _decorators(walk, node.decorator_list)
    outside = walk.scope
    _type_parameters(walk, node)
    walk.many([*node.bases, *node.keywords])
    walk.enter("class")
    walk.many(node.body)
    walk.scope = outside
    walk.out.append(")")


def comprehension(walk: Walk, node: Comprehension) -> None:
    """Its first iterable is evaluated around it; all else sees its own variables."""
    walk.out.append(f"{type(node).__name__}(")
    first = node.generators[0]
    walk.visit(first.iter)
    outside = walk.enter("comprehension")
    for generator in node.generators:
        walk.out.append(f"for{generator.is_async}(")
        if generator is not first:
            walk.visit(generator.iter)
        walk.visit(generator.target)
        walk.many(generator.ifs)
    for field in ("elt", "key", "value"):
        walk.field(getattr(node, field, None))
    walk.scope = outside
    walk.out.append(")")


def _inside(walk: Walk, node: Definition | ast.Lambda) -> None:
    outside = walk.scope
    _type_parameters(walk, node)
    walk.enter("function")
    args = node.args
    for kind in (args.posonlyargs, args.args, [args.vararg], args.kwonlyargs, [args.kwarg]):
        walk.out.append("|")
        for arg in filter(None, kind):
            walk.bind(arg.arg, "parameter")
            walk.out.append(f"{arg.arg},")
    walk.field(node.body)
    walk.scope = outside
    walk.out.append(")")


def _type_parameters(walk: Walk, node: ast.AST) -> None:
    found = getattr(node, "type_params", ())
    if found:
        walk.enter("function")
        for parameter in found:
            walk.store(parameter.name, parameter.lineno, "kept")
            walk.apart([getattr(parameter, "bound", None)])
            walk.apart([getattr(parameter, "default_value", None)])


def _decorators(walk: Walk, decorators: Sequence[ast.expr]) -> bool:
    """Write them; may one of them look at annotations?"""
    walk.apart(decorators)
    return any(_last_name(decorator) not in _PLAIN for decorator in decorators)


def _annotations(walk: Walk, node: Definition) -> None:
    args = node.args
    arguments = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    walk.apart([*(arg.annotation for arg in arguments if arg), node.returns])


def walrus(walk: Walk, node: ast.NamedExpr) -> None:
    """`:=` binds outside of comprehensions."""
    if walk.scope is not None:
        walk.scope.target().bind(node.target.id)
    walk.out.append("NamedExpr(")
    walk.out.append(walk.made(node.target.id, node.lineno, stored=True))
    walk.visit(node.value)
    walk.out.append(")")


def outer(walk: Walk, node: ast.Global | ast.Nonlocal) -> None:
    """Names that belong to a scope around."""
    assert walk.scope is not None  # a decorator holds no statements
    walk.scope.outer |= dict.fromkeys(node.names, isinstance(node, ast.Global))


def binder(walk: Walk, node: Binder) -> None:
    """What binds a name that is no node of its own."""
    walk.out.append(f"{type(node).__name__}(")
    name = node.rest if isinstance(node, ast.MatchMapping) else node.name
    walk.store_maybe(name, node.lineno)
    for field in node._fields:
        if field not in ("name", "rest"):
            walk.field(getattr(node, field))
    walk.out.append(")")


def import_(walk: Walk, node: ast.Import) -> None:
    """A module under its topmost name, or under a name of the function's choice."""
    for alias in node.names:
        source = Import(module=alias.name, top=alias.asname is None)
        _import(walk, alias.asname or alias.name.partition(".")[0], node.lineno, source)


def import_from(walk: Walk, node: ast.ImportFrom) -> None:
    """Something out of a module."""
    for alias in node.names:
        source = Import(module=node.module or "", level=node.level, item=alias.name)
        _import(walk, alias.asname or alias.name, node.lineno, source)


def _import(walk: Walk, name: str, line: int, source: Import) -> None:
    walk.imported(name, line, source)
    walk.out.append(
        f"import({source.level},{source.module},{source.item},{source.top:d},",
    )
    walk.store(name, line)
    walk.out.append(")")


def _last_name(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


BINDINGS: Methods = {
    ast.FunctionDef: function,
    ast.AsyncFunctionDef: function,
    ast.Lambda: lambda_,
    ast.ClassDef: class_,
    ast.ListComp: comprehension,
    ast.SetComp: comprehension,
    ast.GeneratorExp: comprehension,
    ast.DictComp: comprehension,
    ast.NamedExpr: walrus,
    ast.Global: outer,
    ast.Nonlocal: outer,
    ast.ExceptHandler: binder,
    ast.MatchAs: binder,
    ast.MatchStar: binder,
    ast.MatchMapping: binder,
    ast.Import: import_,
    ast.ImportFrom: import_from,
}
