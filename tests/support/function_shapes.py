"""The canonical shape of a function that is given as source."""

from __future__ import annotations

import ast
from textwrap import dedent

from tidemill.analysis.code.canonical_text import FunctionShape, function_shape


def shape(source: str, *, in_class: bool = False) -> FunctionShape:
    node = ast.parse(dedent(source)).body[0]
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    return function_shape(node, node.decorator_list, in_class=in_class)


def names(source: str) -> list[str]:
    return [ref.label for ref in shape(source).references if not ref.bare]
