"""The source text of the code of a stage, for people who compare two versions of it.

It has the project's functions and classes that the code consists of, and the variables of modules that they
use; nothing of installed packages.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from tidemill.analysis.code.code_fingerprint import Code
from tidemill.analysis.code.module_origin import origin_of_file
from tidemill.analysis.code.mutable_state import Variable
from tidemill.analysis.code.source_tree import CHANGED, ParsedFile, first_line, load_source

# Longer text is cut off: nobody reads it in a review.
MOST_LETTERS = 200_000
_CUT = "# ... the rest is left out"


def source_text(code: Code) -> str:
    """The text of the functions, classes and variables by file, in the order of their lines.

    Each file begins with its name in a comment. What has no source, such as input of a shell, is left out,
    and so is a file that changed after it was imported.
    """
    files = _Files()
    for entity in code.entities:
        if isinstance(entity, FunctionType):
            files.add_function(entity)
        elif isinstance(entity, type):
            files.add_class(entity)
    for holder in code.state.values():
        if isinstance(holder.value, Variable):
            files.add_variable(holder.value)
    text = "\n\n".join(files.texts())
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}\n{_CUT}"


class _Files:
    """The nodes to show of each file, by their first line and their last."""

    def __init__(self) -> None:
        self._files: dict[str, ParsedFile] = {}
        self._nodes: dict[str, dict[tuple[int, int], ast.AST]] = {}
        self._changed: set[str] = set()

    def add_function(self, function: FunctionType) -> None:
        path = function.__code__.co_filename
        file = self._file(path, function.__globals__)
        found = file.find(function.__code__) if file is not None else None
        if isinstance(found, ast.AST):
            self._add(path, found)
        elif found == CHANGED:
            self._changed.add(path)

    def add_class(self, cls: type) -> None:
        namespace = vars(sys.modules.get(cls.__module__, sys))
        path = str(namespace.get("__file__", ""))
        file = self._file(path, namespace)
        found = file.find_class(cls.__qualname__) if file is not None else None
        if found is not None:
            self._add(path, found)

    def add_variable(self, variable: Variable) -> None:
        path = str(variable.namespace.get("__file__", ""))
        file = self._file(path, variable.namespace)
        for found in file.assignments(variable.name) if file is not None else ():
            self._add(path, found)

    def texts(self) -> Iterator[str]:
        for path in sorted({*self._nodes, *self._changed}):
            yield "# " + path.replace("\\", "/").rpartition("/")[2]
            if path in self._changed:
                yield f"# {CHANGED}"
                continue
            end = 0
            for first, last in sorted(self._nodes[path]):
                # The text of a function has those inside of it.
                if -last > end:
                    end = -last
                    yield self._files[path].text_of(self._nodes[path][first, last])

    def _file(self, path: str, namespace: dict[str, Any]) -> ParsedFile | None:
        if not path or origin_of_file(path) != "project":
            return None
        file = load_source(path, namespace)
        if file is not None:
            self._files[path] = file
        return file

    def _add(self, path: str, node: ast.AST) -> None:
        last: int = node.end_lineno  # type: ignore[attr-defined]
        # Of two that begin on one line, the longer one comes first.
        self._nodes.setdefault(path, {})[first_line(node), -last] = node
