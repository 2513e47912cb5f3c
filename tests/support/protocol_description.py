"""The OpenAPI description of the Open Inference Protocol, with the schemas of its makers' own package.

Its official file can't be used as it is: its paths have a literal `$`, only those with a version are there,
and most errors are not. No package ships it, so the paths are written here, from the specification. The
schemas are those of the official file, from which `open-inference-openapi` is generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from open_inference.openapi.types import (
    InferenceErrorResponse,
    InferenceRequest,
    InferenceResponse,
    MetadataModelErrorResponse,
    MetadataModelResponse,
    MetadataServerResponse,
)

_TYPES: dict[str, Any] = {
    "inference_request": InferenceRequest,
    "inference_response": InferenceResponse,
    "inference_error_response": InferenceErrorResponse,
    "metadata_model_response": MetadataModelResponse,
    "metadata_model_error_response": MetadataModelErrorResponse,
    "metadata_server_response": MetadataServerResponse,
}
# Clients that fill in all members send null for those without a value.
_WITH_NULL = ("inference_request", "RequestInput", "RequestOutput")
_REFUSED = ("400", "404", "413", "415", "422")


def protocol_description(model: str, version: str, example: Any) -> dict[str, Any]:
    """The description of a server's routes for a model and one of its versions, with a request to it."""
    schemas: dict[str, Any] = {}
    for name, kind in _TYPES.items():
        found = kind.schema(ref_template="#/components/schemas/{model}")
        schemas |= found.pop("definitions", {})
        schemas[name] = found
    for schema in map(schemas.__getitem__, _WITH_NULL):
        for name in schema["properties"].keys() - {*schema["required"]}:
            schema["properties"][name]["nullable"] = True
    paths: dict[str, Any] = {
        "/v2": _get("metadata_server_response"),
        "/v2/health/live": _get(),
        "/v2/health/ready": _get(),
    }
    named = [_parameter("MODEL_NAME", model)]
    for root, parameters in (
        ("/v2/models/{MODEL_NAME}", named),
        (
            "/v2/models/{MODEL_NAME}/versions/{MODEL_VERSION}",
            [*named, _parameter("MODEL_VERSION", version)],
        ),
    ):
        about = _get("metadata_model_response", ["404"], "metadata_model_error_response")
        paths[root] = about | {"parameters": parameters}
        paths[f"{root}/ready"] = _get(errors=["404"]) | {"parameters": parameters}
        paths[f"{root}/infer"] = _infer(example) | {"parameters": parameters}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Open Inference Protocol", "version": "2.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _parameter(name: str, value: str) -> dict[str, Any]:
    schema = {"type": "string", "enum": [value]}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _get(
    schema: str = "", errors: Sequence[str] = (), error: str = "inference_error_response"
) -> dict[str, Any]:
    ok = {"description": "OK", **({"content": _content(schema)} if schema else {})}
    return {"get": {"responses": {"200": ok, **_errors(errors, error)}}}


def _errors(statuses: Sequence[str], schema: str) -> dict[str, Any]:
    return {each: {"description": "refused", "content": _content(schema)} for each in statuses}


def _infer(example: Any) -> dict[str, Any]:
    content = _content("inference_request")
    content["application/json"]["example"] = example
    ok = {"description": "OK", "content": _content("inference_response")}
    return {
        "post": {
            "requestBody": {"required": True, "content": content},
            "responses": {"200": ok, **_errors(_REFUSED, "inference_error_response")},
        }
    }
