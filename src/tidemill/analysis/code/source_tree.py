"""The syntax tree of a loaded function, if its source is still what was loaded.

The node is found by the first line and the name of the code object. The file is compiled again and
compared: the text of a file that was edited after the import doesn't describe the code that runs.
Each file is parsed and compiled once.
"""

from __future__ import annotations
import __future__

import ast
import linecache
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from textwrap import dedent
from types import CodeType
from typing import Any, TypeAlias, TypeGuard

from tidemill.analysis.code.canonical_text import FunctionShape

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

NO_SOURCE = "its source can't be found"
CHANGED = "its source changed after it was imported"
AMBIGUOUS = "several functions on one line can't be told apart"

_FUTURE: int = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag


class ParsedFile:
    """The text of one file, its statements, and the nodes that were found in it."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.nodes: dict[int, tuple[CodeType, Function | str]] = {}
        self.shapes: dict[tuple[int, ...], FunctionShape] = {}
        self._compiled: dict[tuple[int, int, int], dict[tuple[str, int], list[CodeType]]] = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._body = ast.parse("".join(lines)).body
        except (SyntaxError, ValueError):
            self._body = []
        self._starts = [first_line(node) for node in self._body]

    def find(self, code: CodeType) -> Function | str:
        """Find the node of a function, or the reason why there is none."""
        known = self.nodes.get(id(code))
        if known is None:
            # The code object is kept alive, so that its id stays its own.
            known = self.nodes[id(code)] = code, self._find(code)
        return known[1]

    def find_class(self, qualname: str) -> ast.ClassDef | None:
        """Find a class by its full name in the module; None for one in a function, or elsewhere."""
        body, found = self._body, None
        for name in qualname.split("."):
            known = (node for node in body if isinstance(node, ast.ClassDef) and node.name == name)
            found = next(known, None)
            body = found.body if found is not None else []
        return found

    def assignments(self, name: str) -> list[ast.stmt]:
        """The statements at the top of the file that assign a variable."""
        return [node for node in self._body if name in _assigned_names(node)]

    def text_of(self, node: ast.AST) -> str:
        """The lines of a node, with its decorators, and without their common indentation."""
        last: int = node.end_lineno  # type: ignore[attr-defined]
        return dedent("".join(self.lines[first_line(node) - 1 : last])).rstrip()

    def _find(self, code: CodeType) -> Function | str:
        index = bisect_right(self._starts, code.co_firstlineno) - 1
        # Several statements can be on one line.
        statements = self._body[_first(self._starts, index) : index + 1]
        twins = self._compiled_twins(self._body, code) or self._compiled_twins(statements, code)
        if not twins:
            return CHANGED
        nodes = [node for statement in statements for node in _functions(statement, code)]
        if len(nodes) > 1:
            lambdas = [node for node in nodes if isinstance(node, ast.Lambda)]
            nodes = _equal_lambdas(lambdas, code) or _lambdas_by_position(lambdas, code, twins)
        return nodes[0] if len(nodes) == 1 else AMBIGUOUS

    def _compiled_twins(self, body: list[ast.stmt], code: CodeType) -> list[CodeType]:
        """Code objects that compile to the same; a notebook compiles each statement of a cell separately."""
        flags = code.co_flags & _FUTURE
        key = (len(body), body[0].lineno if body else 0, flags)
        if key not in self._compiled:
            try:
                self._compiled[key] = _by_line(_compile(body, flags))
            except (SyntaxError, ValueError):
                self._compiled[key] = {}
        found = self._compiled[key].get((code.co_name, code.co_firstlineno), ())
        return [other for other in found if is_same_code(code, other)]


_files: dict[str, ParsedFile] = {}


def load_source(filename: str, module_globals: dict[str, Any]) -> ParsedFile | None:
    """The file in its current state; it is parsed again only if its text changed."""
    linecache.checkcache(filename)
    lines = linecache.getlines(filename, module_globals)
    if not lines:
        return None
    file = _files.get(filename)
    if file is None or (file.lines is not lines and file.lines != lines):
        file = _files[filename] = ParsedFile(lines)
    return file


def _assigned_names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    else:
        return set()
    return {
        part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)
    }


def first_line(node: ast.AST) -> int:
    """The line on which a statement begins, with its decorators."""
    decorators = getattr(node, "decorator_list", ())
    lines: list[int] = [decorator.lineno for decorator in decorators]
    return min(lines, default=node.lineno)  # type: ignore[attr-defined]


def is_same_code(one: CodeType, other: CodeType) -> bool:
    """Whether two code objects behave the same; file names don't count, docstrings do."""
    return (
        one.co_name == other.co_name
        and one.co_firstlineno == other.co_firstlineno
        and one.co_code == other.co_code
        and one.co_names == other.co_names
        and one.co_varnames == other.co_varnames
        and one.co_freevars == other.co_freevars
        and one.co_cellvars == other.co_cellvars
        and _signature(one) == _signature(other)
        and _is_same_constant(one.co_consts, other.co_consts)
    )


def _signature(code: CodeType) -> tuple[int, int, int]:
    return code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount


def _is_same_constant(one: object, other: object) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return is_same_code(one, other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_is_same_constant, one, other))
    # repr() distinguishes 1 from True and 0.0 from -0.0; the order of a frozenset doesn't count.
    return one == other and (isinstance(one, frozenset) or repr(one) == repr(other))


def _first(starts: list[int], index: int) -> int:
    while index > 0 and starts[index - 1] == starts[index]:
        index -= 1
    return max(index, 0)


def _compile(body: list[ast.stmt], flags: int) -> CodeType:
    # A notebook's cell may use `await` outside of functions.
    flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = ast.Module(body=body, type_ignores=[])
        code: CodeType = compile(module, "<source>", "exec", flags=flags, dont_inherit=True)
    return code


def _by_line(code: CodeType) -> dict[tuple[str, int], list[CodeType]]:
    found: dict[tuple[str, int], list[CodeType]] = {}
    for nested in _nested(code):
        found.setdefault((nested.co_name, nested.co_firstlineno), []).append(nested)
    return found


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _functions(statement: ast.stmt, code: CodeType) -> list[Function]:
    if _is_named(statement, code):
        return [statement]  # nothing else on this line can have the name
    return [node for node in ast.walk(statement) if _is_named(node, code)]


def _is_named(node: ast.AST, code: CodeType) -> TypeGuard[Function]:
    if isinstance(node, ast.Lambda):
        name = "<lambda>"
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        name = node.name
    else:
        return False
    return name == code.co_name and first_line(node) == code.co_firstlineno


def _equal_lambdas(nodes: list[ast.Lambda], code: CodeType) -> list[Function]:
    """One of the lambdas that compile to this code; they are interchangeable."""
    for node in nodes:
        statement = ast.copy_location(ast.Expr(node), node)
        if is_same_code(next(_nested(_compile([statement], code.co_flags & _FUTURE))), code):
            return [node]
    return []


def _lambdas_by_position(
    nodes: list[ast.Lambda], code: CodeType, twins: list[CodeType]
) -> list[Function]:
    """Lambdas with closures, found by the position of their body on the line."""
    spots = list(code.co_positions())
    if all(list(twin.co_positions()) != spots for twin in twins):
        return []
    return [node for node in nodes if _position(node.body) in spots]


def _position(node: ast.expr) -> tuple[int | None, ...]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset
