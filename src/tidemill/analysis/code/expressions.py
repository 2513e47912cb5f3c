"""Write the syntax nodes that read names, and those of which not all fields count."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from tidemill.analysis.code.call_arguments import (
    ADDRESS,
    argument_roles,
    hidden_arguments,
    is_bare_object,
)
from tidemill.analysis.code.canonical_writer import CanonicalWriter, Methods
from tidemill.analysis.code.hidden_inputs import BY_SOURCE, reads_source
from tidemill.analysis.code.scopes import NameUse
from tidemill.analysis.code.state_writes import (
    aliases,
    arguments_of,
    chain_of,
    in_place_write,
    item_aliases,
    writes_by_call,
    writes_to,
)

# Calls that may see the names of local variables.
_SEES_LOCALS = frozenset(("locals", "vars", "dir", "eval", "exec", "sql", "SQLContext"))
_SEES_LOCALS_TOO = frozenset(("eval", "query", "sql", "SQLContext"))
# Namespaces of Polars that have an `eval`, which takes an expression and no text.
POLARS_EVALS = frozenset(("arr", "list", "struct"))
_BY_CLASS = "it looks up subclasses, which may be anywhere"
_BY_NAME = "it looks up variables by their names"
_BY_COMPUTED = "it looks up attributes by a computed name"


def write_name(writer: CanonicalWriter, node: ast.Name) -> None:
    """Write a name."""
    if isinstance(node.ctx, ast.Load):
        writer.sees_locals |= node.id in _SEES_LOCALS
        writer.load(node.id, node.lineno, role=writer.roles.get(id(node)))
    else:
        writer.store(node.id, node.lineno)


def write_attribute(
    writer: CanonicalWriter, node: ast.Attribute, call: ast.Call | None = None
) -> None:
    """Write a chain of attributes, down to the name that they are read from, if there is one."""
    path, base = _attribute_path(node)
    if not isinstance(node.ctx, ast.Load):
        writer.writes += writes_to(node, writer.scope)
    writer.out.append(f".{'.'.join(path)}(")
    _check_attributes(writer, path, node.lineno, call)
    if isinstance(base, ast.Name):
        writer.load(base.id, base.lineno, path, call)
    else:
        writer.visit(base)
        writer.attributes.append((path, node.lineno, call))
    writer.out.append(")")


def _check_attributes(
    writer: CanonicalWriter, path: Sequence[str], line: int, call: ast.Call | None
) -> None:
    evaluates = path[-1] == "eval" and not POLARS_EVALS.isdisjoint(path[-2:-1])
    if not evaluates:
        writer.sees_locals |= not _SEES_LOCALS_TOO.isdisjoint(path)
    for name in path:
        if name == "__subclasses__":
            writer.problems.append((name, line, _BY_CLASS))
        if reads_source(name):
            writer.problems.append((name, line, BY_SOURCE))
    # pandas: frame.query("delay > @LIMIT")
    if call is not None and call.args and path[-1] in ("query", "eval") and not evaluates:
        text = call.args[0]
        if not isinstance(text, ast.Constant) or "@" in str(text.value):
            writer.problems.append((path[-1], line, _BY_NAME))


def write_call(writer: CanonicalWriter, node: ast.Call) -> None:
    """Write a call; the use of the called name records whether it gets a seed."""
    writer.out.append("Call(")
    writer.attributes += [([name], node.lineno, None) for name in hidden_arguments(node)]
    writer.writes += writes_by_call(node, writer.scope)
    if (function := chain_of(node.func, writer.scope)) is not None:
        writer.calls.append((function, tuple(arguments_of(node, writer.scope))))
    writer.roles |= {id(name): role for name, role in argument_roles(node)}
    if isinstance(node.func, ast.Attribute):
        write_attribute(writer, node.func, node)
    elif isinstance(node.func, ast.Name):
        writer.sees_locals |= node.func.id in _SEES_LOCALS
        writer.load(node.func.id, node.lineno, (), node)
    else:
        writer.visit(node.func)
    _write_arguments(writer, node)
    writer.out.append(";")
    writer.write_list(node.keywords)
    writer.out.append(")")


def _write_arguments(writer: CanonicalWriter, node: ast.Call) -> None:
    """Write arguments: `getattr(module, "name")` as `module.name`; a computed name is recorded."""
    args = node.args
    called = [getattr(node.func, "id", ""), *_attribute_path(node.func)[0]][-1]
    if called == "attrgetter" and not all(isinstance(name, ast.Constant) for name in args):
        writer.problems.append((called, node.lineno, _BY_COMPUTED))
    if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(args) > 1:
        name = args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            read = ast.Attribute(args[0], name.value, ast.Load())
            args = [ast.copy_location(read, node), *args[2:]]
        else:
            start = len(writer.out)
            writer.visit(args[0])
            writer.out[start:] = map(_as_dynamic, writer.out[start:])
            args = args[1:]
    writer.write_list(args)


def _as_dynamic(part: str | NameUse) -> str | NameUse:
    """Mark the use of a name of which an attribute is read by a computed name."""
    return part if isinstance(part, str) else replace(part, dynamic=part.call is None)


def write_keyword(writer: CanonicalWriter, node: ast.keyword) -> None:
    """Write a keyword argument; `register_globals` makes Polars look up variables."""
    if node.arg == "register_globals":
        writer.problems.append((node.arg, node.lineno, _BY_NAME))
    writer.out.append(f"{node.arg}=")
    writer.visit(node.value)


def write_annotated_assignment(writer: CanonicalWriter, node: ast.AnnAssign) -> None:
    """Write an annotated assignment; the annotation counts in class bodies, where it may declare a field."""
    if writer.scope is not None and writer.scope.kind == "class":
        writer.out.append("AnnAssign(")
        writer.visit(node.target)
        writer.write_optional([node.annotation])
        writer.write_field(node.value)
        writer.out.append(")")
    elif node.value is not None:
        aliases([node.target], node.value, writer.scope)
        writer.out.append("Assign([")
        writer.visit(node.target)
        writer.out.append("]")
        writer.visit(node.value)
        writer.out.append(")")
    elif isinstance(node.target, ast.Name):
        writer.bind(node.target.id)


def write_assignment(writer: CanonicalWriter, node: ast.Assign) -> None:
    """Write an assignment; what names are assigned is recorded."""
    writer.write_fields(node)
    aliases(node.targets, node.value, writer.scope)
    if is_bare_object(node.value) and writer.scope is not None:
        writer.scope.objects |= {item.id for item in node.targets if isinstance(item, ast.Name)}


def write_subscript(writer: CanonicalWriter, node: ast.Subscript) -> None:
    """Write the use of an item; a change of one is recorded."""
    if not isinstance(node.ctx, ast.Load):
        writer.writes += writes_to(node, writer.scope)
    writer.write_fields(node)


def write_in_place_assignment(writer: CanonicalWriter, node: ast.AugAssign) -> None:
    """Write `x += y`."""
    writer.writes += in_place_write(node, writer.scope)
    writer.write_fields(node)


def write_loop(writer: CanonicalWriter, node: ast.For | ast.AsyncFor) -> None:
    """Write a loop; its variables stand for items."""
    writer.write_fields(node)
    item_aliases(node.target, node.iter, writer.scope)


def write_formatted_value(writer: CanonicalWriter, node: ast.FormattedValue) -> None:
    """Write a value in an f-string, which becomes text."""
    if is_bare_object(node.value):
        writer.attributes.append(([ADDRESS], node.lineno, None))
    elif isinstance(node.value, ast.Name):
        writer.roles[id(node.value)] = "printed"
    writer.write_fields(node)


def write_expression_statement(writer: CanonicalWriter, node: ast.Expr) -> None:
    """Write an expression statement, unless it is a docstring or another constant."""
    if not isinstance(node.value, ast.Constant):
        writer.out.append("Expr(")
        writer.visit(node.value)
        writer.out.append(")")


def write_nothing(writer: CanonicalWriter, node: ast.Pass) -> None:
    """Write nothing: `pass` has no effect."""


def write_constant(writer: CanonicalWriter, node: ast.Constant) -> None:
    """Write a literal and its type; a text may be the name of an attribute that is read elsewhere."""
    value = node.value
    if isinstance(value, str) and reads_source(value):
        writer.problems.append((value, node.lineno, BY_SOURCE))
    text = f"{value:x}" if type(value) is int else repr(value)
    writer.out.append(f"{type(value).__name__}:{text},")


def _attribute_path(node: ast.expr) -> tuple[list[str], ast.expr]:
    """The attributes in a chain, and the expression that they are read from."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    return path, node


EXPRESSIONS: Methods = {
    ast.Name: write_name,
    ast.Attribute: write_attribute,
    ast.Call: write_call,
    ast.keyword: write_keyword,
    ast.Subscript: write_subscript,
    ast.Assign: write_assignment,
    ast.AugAssign: write_in_place_assignment,
    ast.For: write_loop,
    ast.AsyncFor: write_loop,
    ast.AnnAssign: write_annotated_assignment,
    ast.FormattedValue: write_formatted_value,
    ast.Expr: write_expression_statement,
    ast.Pass: write_nothing,
    ast.Constant: write_constant,
}
