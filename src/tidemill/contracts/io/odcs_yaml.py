"""Files of the Open Data Contract Standard: YAML that the standard's own package checks.

The package `open-data-contract-standard` (extra `odcs`) is imported when the first file is read or
written. It passes over fields that it doesn't know, so those are looked for here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidemill.core.errors import SourceError, UsageError

# An alias stands for all that it names; documents of people have some thousand values.
_VALUES = 1_000_000
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that the standard allows, and the paths of the fields that it doesn't know."""

    fields: Mapping[str, Any]
    unknown: tuple[str, ...] = ()


def read(file: Path) -> Document:
    """The document in a file; SourceError says where it isn't one, all at once."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it isn't UTF-8"
        raise SourceError(f"{file} can't be read: {reason}") from error
    return parse(text, str(file))


def parse(text: str, name: str) -> Document:
    """The document in a text that is called `name`."""
    yaml = _package("yaml")
    lines: dict[str, int] = {}
    try:
        # The loader in C is ten times as fast, and not everywhere.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        tree = loader.get_single_node()
        _refuse_rings(tree, name)
        _places(tree, "", lines, name)
        raw = loader.construct_document(tree) if tree is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SourceError(f"{name}{_yaml_problem(error)}") from None
    if not isinstance(raw, Mapping):
        raise SourceError(f"{name} is no document: it has no fields such as apiVersion and schema")
    model = _package("open_data_contract_standard.model").OpenDataContractStandard
    try:
        checked = model.model_validate(raw)
    except ValueError as error:
        raise SourceError("\n".join(_invalid(error, name, lines))) from None
    fields = checked.model_dump(by_alias=True, exclude_unset=True)
    return Document(fields=fields, unknown=tuple(_unknown(raw, fields, "")))


def text_of(fields: Mapping[str, Any]) -> str:
    """A document as YAML; the standard's package has checked it."""
    yaml = _package("yaml")
    _package("open_data_contract_standard.model").OpenDataContractStandard.model_validate(fields)
    dumper: Any = type("Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})
    dumper.add_representer(str, _text)
    written = yaml.dump(dict(fields), Dumper=dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(written)


def _text(dumper: Any, text: str) -> Any:
    # Outside of double quotes PyYAML writes this end of a line as it is, and reads it as a space.
    style = '"' if "\x85" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _package(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"documents of the Open Data Contract Standard need the package that {error.name} is in: "
            "pip install 'tidemill[odcs]'"
        ) from None


def _yaml_problem(error: Exception) -> str:
    """`:3:7: mapping values are not allowed here`."""
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or str(error).splitlines()[0]
    place = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
    return f"{place}: {said}"


def _refuse_rings(tree: Any, name: str) -> None:
    """SourceError for a value that is inside of itself, or that aliases blow up."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if id(node) not in sizes:
            # Until it is known, so that it is seen when it comes again inside of itself.
            sizes[id(node)] = _VALUES
            sizes[id(node)] = 1 + sum(map(size, _inside(node)))
        return sizes[id(node)]

    if tree is not None and size(tree) > _VALUES:
        raise SourceError(f"{name}: its aliases (& and *) make more than {_VALUES:,} values of it")


def _inside(node: Any) -> Iterator[Any]:
    if node.id == "sequence":
        yield from node.value
    elif node.id == "mapping":
        for key, value in node.value:
            yield from (key, value)


def _places(node: Any, path: str, lines: dict[str, int], name: str) -> None:
    """The line of every value by its path; SourceError for a field that is said twice."""
    if node is None:
        return
    lines[path] = node.start_mark.line + 1
    if node.id == "sequence":
        for i, item in enumerate(node.value):
            _places(item, f"{path}[{i}]", lines, name)
    elif node.id == "mapping":
        for key, value in node.value:
            at = f"{path}.{key.value}" if path else str(key.value)
            if at in lines:
                raise SourceError(f"{name}:{key.start_mark.line + 1}: {at} is said twice")
            _places(value, at, lines, name)


def _invalid(error: Any, name: str, lines: Mapping[str, int]) -> Iterator[str]:
    """What the package found, each with its line and its path."""
    for item in error.errors()[:_SHOWN]:
        path = _path(item["loc"], lines)
        line = f":{lines[path]}" if path in lines else ""
        yield f"{name}{line}: {path}: {item['msg'].lower()}"


def _path(places: tuple[str | int, ...], lines: Mapping[str, int]) -> str:
    """`schema[0].name` of ("schema", 0, "name"); names of types, which pydantic mixes in, are left out."""
    path = ""
    for place in places:
        longer = f"{path}[{place}]" if isinstance(place, int) else f"{path}.{place}".lstrip(".")
        if longer not in lines:
            return path or str(place)
        path = longer
    return path


def _unknown(raw: Any, kept: Any, path: str) -> Iterator[str]:
    """The paths of what is in the file and not in what the package kept of it."""
    if isinstance(raw, Mapping) and isinstance(kept, Mapping):
        for name, value in raw.items():
            at = f"{path}.{name}" if path else str(name)
            if name in kept:
                yield from _unknown(value, kept[name], at)
            else:
                yield at
    elif isinstance(raw, list) and isinstance(kept, list):
        for i, (item, other) in enumerate(zip(raw, kept, strict=True)):
            yield from _unknown(item, other, f"{path}[{i}]")
