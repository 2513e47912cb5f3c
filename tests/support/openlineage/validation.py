"""Validate events against the schemas of OpenLineage: the core, and that of each facet, with formats."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]
from referencing import Registry, Resource

SPEC = Path(__file__).parent / "spec"
_CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
_OWN = f"{_CORE}#/$defs/BaseFacet"


@cache
def _schemas() -> Mapping[str, Any]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in SPEC.rglob("*.json")]
    return {schema["$id"]: schema for schema in found}


@cache
def _validator(url: str) -> Draft202012Validator:
    resources = [(name, Resource.from_contents(schema)) for name, schema in _schemas().items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(
        {"$ref": url}, registry=registry, format_checker=FormatChecker(["uuid", "uri", "date-time"])
    )


def faults(event: Any) -> list[str]:
    """What is wrong with an event; a facet of an unknown name or schema is wrong as well."""
    found = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in _validator(f"{_CORE}#/$defs/RunEvent").iter_errors(event)
    ]
    return found + facet_faults(_facets(event))


def facet_faults(facets: Iterable[tuple[str, Any]]) -> list[str]:
    """What is wrong with facets, each with its name."""
    found: list[str] = []
    for name, facet in facets:
        url = facet.get("_schemaURL", "")
        if name.startswith("tidemill_"):
            found += [] if url == _OWN else [f"{name}: {url}"]
        elif name not in _properties(url.partition("#")[0]):
            found.append(f"{name}: {url} has no such facet")
        else:
            found += [f"{name}: {error.message}" for error in _validator(url).iter_errors(facet)]
    return found


def _properties(url: str) -> Mapping[str, Any]:
    schema = _schemas().get(url)
    return {} if schema is None else schema["properties"]


def _facets(event: Any) -> Iterator[tuple[str, Any]]:
    yield from event["run"].get("facets", {}).items()
    yield from event["job"].get("facets", {}).items()
    for dataset in (*event.get("inputs", ()), *event.get("outputs", ())):
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from dataset.get(kind, {}).items()
