"""Parse and write YAML files of the Open Data Contract Standard, validated by the standard's package.

The package `open-data-contract-standard` (extra `odcs`) is imported when the first file is read or
written. It ignores unknown fields, so this module finds them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.core.errors import SourceError, UsageError

# Aliases can expand to any size; documents written by people have some thousand values.
_VALUES = 1_000_000
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class OdcsFile:
    """A valid document, and the paths of its fields that the standard doesn't define."""

    fields: Mapping[str, Any]
    unknown: tuple[str, ...] = ()


def read_file(file: Path) -> OdcsFile:
    """Read the document in a file; SourceError lists every problem."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it isn't UTF-8"
        raise SourceError(f"can't read {file}: {reason}") from error
    return parse_text(text, str(file))


def parse_text(text: str, name: str) -> OdcsFile:
    """Parse a document; `name` identifies it in errors."""
    yaml = _package("yaml")
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
    if not isinstance(raw, Mapping):
        raise SourceError(
            f"{name} is not a document: it has no fields such as apiVersion and schema"
        )
    model = _package("open_data_contract_standard.model").OpenDataContractStandard
    try:
        checked = model.model_validate(raw)
    except ValueError as error:
        raise SourceError("\n".join(_validation_problems(error, name, lines))) from None
    fields = checked.model_dump(by_alias=True, exclude_unset=True)
    return OdcsFile(fields=fields, unknown=tuple(_unknown_fields(raw, fields, "")))


def to_yaml(fields: Mapping[str, Any]) -> str:
    """Return a document as YAML, after the standard's package has validated it."""
    yaml = _package("yaml")
    _package("open_data_contract_standard.model").OpenDataContractStandard.model_validate(fields)
    dumper: Any = type("Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
    dumper.add_representer(str, _represent_text)
    text = yaml.dump(dict(fields), Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(text)


def _represent_text(dumper: Any, text: str) -> Any:
    # Outside double quotes PyYAML writes this line break unescaped and reads it back as a space.
    style = '"' if "\x85" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _package(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"documents of the Open Data Contract Standard need the package of {error.name}: "
            "pip install 'tidemill[odcs]'"
        ) from None


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


def _validation_problems(error: Any, name: str, lines: Mapping[str, int]) -> Iterator[str]:
    """Yield the problems that the package found, each with its line and path."""
    for item in error.errors()[:_SHOWN]:
        path = _path(item["loc"], lines)
        line = f":{lines[path]}" if path in lines else ""
        yield f"{name}{line}: {path}: {item['msg'].lower()}"


def _path(places: tuple[str | int, ...], lines: Mapping[str, int]) -> str:
    """Format ("schema", 0, "name") as `schema[0].name`, without the type names that pydantic mixes in."""
    path = ""
    for place in places:
        longer = f"{path}[{place}]" if isinstance(place, int) else f"{path}.{place}".lstrip(".")
        if longer not in lines:
            return path or str(place)
        path = longer
    return path


def _unknown_fields(raw: Any, kept: Any, path: str) -> Iterator[str]:
    """Yield the paths of fields in the file that the package dropped."""
    if isinstance(raw, Mapping) and isinstance(kept, Mapping):
        for name, value in raw.items():
            at = f"{path}.{name}" if path else str(name)
            if name in kept:
                yield from _unknown_fields(value, kept[name], at)
            else:
                yield at
    elif isinstance(raw, list) and isinstance(kept, list):
        for i, (item, other) in enumerate(zip(raw, kept, strict=True)):
            yield from _unknown_fields(item, other, f"{path}[{i}]")
