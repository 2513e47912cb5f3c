"""Identify a function of the project by its canonical text and everything that its names refer to."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator
from types import FunctionType, ModuleType

from tidemill.analysis.code.callables import attributes_part, cell_part, cells_of
from tidemill.analysis.code.canonical_text import FunctionShape, function_shape
from tidemill.analysis.code.module_origin import public_name
from tidemill.analysis.code.name_resolution import (
    NameScope,
    reference_part,
    unresolved_attribute_part,
)
from tidemill.analysis.code.source_tree import NO_SOURCE, Function, ParsedFile, load_source
from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part

_MEMO, _WORKFLOW = "tidemill.memo", "tidemill.Workflow"


def function_part(function: FunctionType, visitor: Visitor, *, named: bool) -> Part:
    """Identify a function by its text, its defaults and its references; `named`: by its name, too."""
    code = function.__code__
    file = load_source(code.co_filename, function.__globals__)
    node = NO_SOURCE if file is None else file.find(code)
    around = NameScope.of(function)
    own = visitor.at(f"{around.file}:{code.co_firstlineno}", function.__qualname__)
    parts: list[Part] = ["function", function.__name__ if named else ""]
    parts += _defaults(function, own)
    parts.append(attributes_part(function, (), own))
    if file is None or isinstance(node, str):
        parts.append(own.refuse(str(node)))
        return [*parts, *_unnamed_cells(function, (), own)]
    shape = _function_shape(file, node, around)
    visitor.body(shape, function)
    parts.append(shape.digest)
    parts += [reference_part(ref, around, visitor) for ref in shape.references]
    parts += [
        unresolved_attribute_part(loose, around, visitor) for loose in shape.unresolved_attributes
    ]
    for problem in shape.problems:
        visitor.at(f"{around.file}:{problem.line}", problem.name).refuse(problem.reason)
    return [*parts, *_unnamed_cells(function, {ref.name for ref in shape.references}, own)]


def _defaults(function: FunctionType, visitor: Visitor) -> Iterator[Part]:
    """Defaults count by their values, which were computed when the function was defined."""
    code = function.__code__
    values = function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    found = {**dict(zip(names, values, strict=True)), **(function.__kwdefaults__ or {})}
    for name, value in found.items():
        yield [name, visitor.value(value, f"{function.__qualname__}({name}=)")]


def _unnamed_cells(
    function: FunctionType, known: Container[str], visitor: Visitor
) -> Iterator[Part]:
    """Variables in the closure that the text doesn't name: `__class__`, for `super()`."""
    for name, value, filled in cells_of(function):
        if name not in known:
            yield cell_part(name, value, filled, visitor)


def _function_shape(file: ParsedFile, node: Function, around: NameScope) -> FunctionShape:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    counted = [item for item in decorators if not _is_declaration(item, around)]
    key = (id(node), *map(id, counted))
    if key not in file.shapes:
        owner = around.function.__qualname__.rpartition(".")[0]
        in_class = bool(owner) and not owner.endswith("<locals>")
        file.shapes[key] = function_shape(node, counted, in_class=in_class)
    return file.shapes[key]


def _is_declaration(decorator: ast.expr, around: NameScope) -> bool:
    """Whether a workflow or a memo declares the function with it; its arguments are in other parts."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return False
    found = around.lookup(node.id)
    while isinstance(found, ModuleType) and path:
        found = getattr(found, path.pop(0), None)
    if isinstance(found, FunctionType) and _is_memo(found):
        return True
    kind = type(found)
    return bool(path) and public_name(f"{kind.__module__}.{kind.__qualname__}") == _WORKFLOW


def _is_memo(function: FunctionType) -> bool:
    return public_name(f"{function.__module__}.{function.__qualname__}") == _MEMO
