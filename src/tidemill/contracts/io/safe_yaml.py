"""Parse YAML safely: plain values only, of limited size, and no key twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tidemill.core.errors import SourceError

# Aliases can expand to any size; documents written by people have some thousand values.
_VALUES = 1_000_000


def parse_yaml(text: str, name: str, yaml: Any) -> tuple[Any, dict[str, int]]:
    """Parse a document with the module `yaml`; return its values, and the line of each by its path.

    `name` identifies it in errors. SourceError for text that isn't YAML, constructs objects, repeats a key
    or expands too far.
    """
    lines: dict[str, int] = {}
    try:
        # The loader in C is ten times as fast, but not available everywhere.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        tree = loader.get_single_node()
        _refuse_expansion(tree, name)
        _collect_lines(tree, "", lines, name)
        raw = loader.construct_document(tree) if tree is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(f"{name}{_yaml_problem(error)}") from None
    return raw, lines


def _yaml_problem(error: Exception) -> str:
    """`:3:7: mapping values are not allowed here`."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    return f"{place}: {problem}"


def _refuse_expansion(tree: Any, name: str) -> None:
    """Raise SourceError for a value that contains itself, or that aliases expand too far."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            # Until its size is known; a value that contains itself adds this, and is over the limit.
            sizes[id(node)] = _VALUES
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
        return sizes[id(node)]

    if tree is not None and size(tree) > _VALUES:
        raise SourceError(f"{name}: its aliases (& and *) expand to more than {_VALUES:,} values")


def _children(node: Any) -> Iterator[Any]:
    if node.id == "sequence":
        yield from node.value
    elif node.id == "mapping":
        for key, value in node.value:
            yield from (key, value)


def _collect_lines(node: Any, path: str, lines: dict[str, int], name: str) -> None:
    """Collect the line of every value by its path; SourceError for a duplicate field."""
    if node is None:
        return
    lines[path] = node.start_mark.line + 1
    if node.id == "sequence":
        for i, item in enumerate(node.value):
            _collect_lines(item, f"{path}[{i}]", lines, name)
    elif node.id == "mapping":
        for key, value in node.value:
            at = f"{path}.{key.value}" if path else str(key.value)
            if at in lines:
                raise SourceError(f"{name}:{key.start_mark.line + 1}: duplicate field {at}")
            _collect_lines(value, at, lines, name)
