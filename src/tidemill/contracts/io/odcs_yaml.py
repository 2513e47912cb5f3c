"""Parse and write YAML files of the Open Data Contract Standard, validated by the standard's package.

The package `open-data-contract-standard` (extra `odcs`) is imported when the first file is read or
written. It ignores unknown fields, so this module finds them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tidemill.contracts.io.safe_yaml import parse_yaml
from tidemill.core.errors import SourceError, UsageError
from tidemill.core.lazy_dataclass import dataclass

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
    raw, lines = parse_yaml(text, name, yaml)
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
