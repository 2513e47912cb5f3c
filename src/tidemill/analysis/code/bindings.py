"""Write the syntax nodes that bind names: functions, classes, comprehensions, imports, handlers."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TypeAlias

from tidemill.analysis.code.canonical_writer import CanonicalWriter, Methods
from tidemill.analysis.code.scopes import Import
from tidemill.analysis.code.state_writes import aliases, item_aliases

# Decorators that don't read annotations.
_PLAIN = frozenset(
    {"property", "staticmethod", "classmethod", "cache", "lru_cache", "cached_property", "wraps"}
    | {"contextmanager", "setter", "getter", "deleter", "abstractmethod", "override"}
)

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
Binder: TypeAlias = ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping


def write_root(
    writer: CanonicalWriter, node: Definition | ast.Lambda, decorators: Sequence[ast.expr]
) -> None:
    """Write the function itself, without its name and defaults, which count elsewhere."""
    writer.out.append(f"{type(node).__name__}(")
    annotated = _write_decorators(writer, decorators)
    if annotated and not isinstance(node, ast.Lambda):
        _write_annotations(writer, node)
    _write_body(writer, node, root=True)


def write_function(writer: CanonicalWriter, node: Definition) -> None:
    """Write a nested function: its name is visible, its defaults belong to the enclosing scope."""
    writer.store(node.name, node.lineno, "kept")
    writer.out.append(f"{type(node).__name__}(")
    annotated = _write_decorators(writer, node.decorator_list)
    writer.write_list([*node.args.defaults, *node.args.kw_defaults])
    if annotated:
        _write_annotations(writer, node)
    _write_body(writer, node)


def write_lambda(writer: CanonicalWriter, node: ast.Lambda) -> None:
    """Write a lambda."""
    writer.out.append("Lambda(")
    writer.write_list([*node.args.defaults, *node.args.kw_defaults])
    _write_body(writer, node)


def write_class(writer: CanonicalWriter, node: ast.ClassDef) -> None:
    """Write a nested class: the names that its body binds are visible."""
    writer.store(node.name, node.lineno, "kept")
    writer.out.append("ClassDef(")
    _write_decorators(writer, node.decorator_list)
    outside = writer.scope
    _write_type_parameters(writer, node)
    writer.write_list([*node.bases, *node.keywords])
    writer.enter("class")
    writer.write_list(node.body)
    writer.scope = outside
    writer.out.append(")")


def write_comprehension(writer: CanonicalWriter, node: Comprehension) -> None:
    """Write a comprehension: only its first iterable belongs to the enclosing scope."""
    writer.out.append(f"{type(node).__name__}(")
    first = node.generators[0]
    writer.visit(first.iter)
    outside = writer.enter("comprehension")
    for generator in node.generators:
        writer.out.append(f"for{generator.is_async}(")
        if generator is not first:
            writer.visit(generator.iter)
        writer.visit(generator.target)
        item_aliases(generator.target, generator.iter, writer.scope)
        writer.write_list(generator.ifs)
    for field in ("elt", "key", "value"):
        writer.write_field(getattr(node, field, None))
    writer.scope = outside
    writer.out.append(")")


def _write_body(
    writer: CanonicalWriter, node: Definition | ast.Lambda, *, root: bool = False
) -> None:
    outside = writer.scope
    _write_type_parameters(writer, node)
    writer.enter("function")
    if root:
        writer.root = writer.scope
    args = node.args
    for kind in (args.posonlyargs, args.args, [args.vararg], args.kwonlyargs, [args.kwarg]):
        writer.out.append("|")
        for arg in filter(None, kind):
            writer.bind(arg.arg, "parameter")
            writer.out.append(f"{arg.arg},")
    writer.write_field(node.body)
    writer.scope = outside
    writer.out.append(")")


def _write_type_parameters(writer: CanonicalWriter, node: ast.AST) -> None:
    found = getattr(node, "type_params", ())
    if found:
        writer.enter("function")
        for parameter in found:
            writer.store(parameter.name, parameter.lineno, "kept")
            writer.write_optional([getattr(parameter, "bound", None)])
            writer.write_optional([getattr(parameter, "default_value", None)])


def _write_decorators(writer: CanonicalWriter, decorators: Sequence[ast.expr]) -> bool:
    """Write the decorators; returns whether one of them may read annotations."""
    writer.write_optional(decorators)
    return any(_last_name(decorator) not in _PLAIN for decorator in decorators)


def _write_annotations(writer: CanonicalWriter, node: Definition) -> None:
    args = node.args
    arguments = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    writer.write_optional([*(arg.annotation for arg in arguments if arg), node.returns])


def write_walrus(writer: CanonicalWriter, node: ast.NamedExpr) -> None:
    """Write `:=`, which binds outside of comprehensions."""
    if writer.scope is not None:
        writer.scope.walrus_scope().bind(node.target.id)
        aliases([node.target], node.value, writer.scope.walrus_scope())
    writer.out.append("NamedExpr(")
    writer.out.append(writer.name_use(node.target.id, node.lineno, stored=True))
    writer.visit(node.value)
    writer.out.append(")")


def record_outer_names(writer: CanonicalWriter, node: ast.Global | ast.Nonlocal) -> None:
    """Record names that belong to an enclosing scope."""
    assert writer.scope is not None  # a decorator holds no statements
    writer.scope.outer |= dict.fromkeys(node.names, isinstance(node, ast.Global))


def write_binder(writer: CanonicalWriter, node: Binder) -> None:
    """Write a node that binds a name given as plain text."""
    writer.out.append(f"{type(node).__name__}(")
    name = node.rest if isinstance(node, ast.MatchMapping) else node.name
    writer.store_optional(name, node.lineno)
    for field in node._fields:
        if field not in ("name", "rest"):
            writer.write_field(getattr(node, field))
    writer.out.append(")")


def write_import(writer: CanonicalWriter, node: ast.Import) -> None:
    """Write an import of modules, by their topmost name or by an alias."""
    for alias in node.names:
        source = Import(module=alias.name, top=alias.asname is None)
        _write_import(writer, alias.asname or alias.name.partition(".")[0], node.lineno, source)


def write_import_from(writer: CanonicalWriter, node: ast.ImportFrom) -> None:
    """Write an import of items of a module."""
    for alias in node.names:
        source = Import(module=node.module or "", level=node.level, item=alias.name)
        _write_import(writer, alias.asname or alias.name, node.lineno, source)


def _write_import(writer: CanonicalWriter, name: str, line: int, source: Import) -> None:
    writer.record_import(name, line, source)
    writer.out.append(
        f"import({source.level},{source.module},{source.item},{source.top:d},",
    )
    writer.store(name, line)
    writer.out.append(")")


def _last_name(decorator: ast.expr) -> str:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


BINDINGS: Methods = {
    ast.FunctionDef: write_function,
    ast.AsyncFunctionDef: write_function,
    ast.Lambda: write_lambda,
    ast.ClassDef: write_class,
    ast.ListComp: write_comprehension,
    ast.SetComp: write_comprehension,
    ast.GeneratorExp: write_comprehension,
    ast.DictComp: write_comprehension,
    ast.NamedExpr: write_walrus,
    ast.Global: record_outer_names,
    ast.Nonlocal: record_outer_names,
    ast.ExceptHandler: write_binder,
    ast.MatchAs: write_binder,
    ast.MatchStar: write_binder,
    ast.MatchMapping: write_binder,
    ast.Import: write_import,
    ast.ImportFrom: write_import_from,
}
