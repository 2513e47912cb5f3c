"""Describe the API as an OpenAPI document, from the resources and the records that their views return."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from tidemill.console.problems import PROBLEM
from tidemill.console.record_schema import RecordSchemas
from tidemill.console.resource import API, PageAction, Parameter, Resource, load_view
from tidemill.console.resources import ACTIONS, RESOURCES, SHELL

_TYPES = {"int": "integer", "float": "number", "bool": "boolean"}
_ENVIRONMENT: Mapping[str, Any] = {
    "name": "env",
    "in": "query",
    "description": "The environment; without it, production.",
    "schema": {"type": "string"},
}


def openapi_document() -> Mapping[str, Any]:
    """The description of the whole API."""
    schemas = RecordSchemas()
    paths: dict[str, dict[str, Any]] = {}
    for resource in (SHELL, *RESOURCES):
        paths.setdefault(resource.api_path, {})["get"] = _read(resource, schemas)
    for action in ACTIONS:
        paths.setdefault(action.api_path, {})["post"] = _act(action, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill",
            "version": API.rpartition("/")[2],
            "description": (
                "All that the pages of the console show and do. Callers send a token as a Bearer; what it "
                "may do follows from its role and scopes. Times are Unix seconds. A list that goes on has a "
                '`next`, which is passed as the parameter that its description names; 0 or "" is the end.'
            ),
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**schemas.found, "Problem": _PROBLEM},
        },
    }


_PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def _read(resource: Resource, schemas: RecordSchemas) -> Mapping[str, Any]:
    return {
        **_described(resource, schemas, resource.parameters.values()),
        "responses": _responses(resource, schemas),
    }


def _act(action: PageAction, schemas: RecordSchemas) -> Mapping[str, Any]:
    named = action.placeholders
    inside = [each for each in action.parameters.values() if each.name in named]
    fields = [each for each in action.parameters.values() if each.name not in named]
    found = dict(_described(action, schemas, inside))
    if action.guards:
        found["parameters"] = [*found["parameters"], _tag_of(action.guards)]
    body = {
        "type": "object",
        "required": [each.name for each in fields if each.is_required],
        "properties": {each.name: _schema(each) for each in fields},
        "additionalProperties": False,
    }
    return {
        **found,
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": _responses(action, schemas),
    }


def _tag_of(guarded: str) -> Mapping[str, Any]:
    """The header that says which version of a resource the caller saw."""
    seen = next(resource.api_path for resource in RESOURCES if resource.name == guarded)
    return {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "description": f"The ETag of `GET {seen}` with the same arguments, as it was seen.",
        "schema": {"type": "string"},
    }


def _described(resource: Resource, schemas: RecordSchemas, parameters: Any) -> Mapping[str, Any]:
    first, _, rest = (inspect.getdoc(load_view(resource.view)) or "").partition("\n\n")
    return {
        "operationId": resource.name,
        "summary": " ".join(first.split()),
        **({"description": " ".join(rest.split())} if rest else {}),
        "parameters": [
            *(_parameter(each, resource.placeholders) for each in parameters),
            _ENVIRONMENT,
        ],
    }


def _parameter(each: Parameter, placeholders: Sequence[str]) -> Mapping[str, Any]:
    is_inside = each.name in placeholders
    return {
        "name": each.name,
        "in": "path" if is_inside else "query",
        "required": is_inside or each.is_required,
        "schema": _schema(each),
    }


def _schema(each: Parameter) -> Mapping[str, Any]:
    found: dict[str, Any] = {"type": _TYPES.get(each.kind, "string")}
    if each.default is not None:
        found["default"] = each.default
    return found


def _responses(resource: Resource, schemas: RecordSchemas) -> Mapping[str, Any]:
    view = load_view(resource.view)
    kind = get_type_hints(view, vars(sys.modules[view.__module__]))["return"]
    return {
        "200": {
            "description": "What was asked for.",
            "content": {"application/json": {"schema": schemas.schema_of(kind)}},
        },
        "default": {
            "description": "Why it isn't answered.",
            "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    }
