"""Describe the routes of a server as an OpenAPI 3.1 document, from the contracts of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tidemill.serving.answers import OutputTensor
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.json_schema import column_schema, row_schema
from tidemill.serving.oip import BINARY, HEADER_LENGTH, JSON
from tidemill.serving.predictions import ARROW, CSV
from tidemill.serving.tensors import accepted_datatypes, datatype_of

Schema: TypeAlias = dict[str, Any]
_ERRORS: Mapping[str, str] = {
    "400": "The request isn't what the protocol says.",
    "401": "The token is missing or unknown.",
    "403": "The token isn't for this endpoint.",
    "404": "There is no such route, endpoint or version.",
    "406": "The caller accepts none of the media types of the answer.",
    "413": "The request has too many bytes or rows.",
    "415": "The content type or the encoding isn't read.",
    "422": "Rows break the contract: the findings name row, field, rule and value.",
    "429": "The caller's share is used up; see Retry-After.",
    "503": "The server is overloaded, or no version can serve; see Retry-After.",
}
_ON_GET = ("401", "403", "404", "429", "503")
_JSON_TYPES: Mapping[str, str] = {
    "FP64": "number",
    "INT64": "integer",
    "BOOL": "boolean",
    "BYTES": "string",
}


def openapi_document(
    endpoints: Sequence[EndpointDescription], *, version: str, has_tokens: bool = False
) -> Schema:
    """Return the document of a server with these endpoints; `version` is that of the document."""
    paths: Schema = {
        "/v2": _get("serverMetadata", "Describe the server", "ServerMetadata"),
        "/v2/health/live": _get("serverLive", "Whether the server runs", "Live"),
        "/v2/health/ready": _get("serverReady", "Whether all endpoints can answer", "Ready"),
        "/metrics": _get_text("metrics", "Metrics for Prometheus", "text/plain"),
        "/openapi.json": _get("openapi", "This document", None),
        "/docs": _get_text("docs", "The endpoints as a page", "text/html"),
    }
    schemas = dict(_COMMON)
    for number, endpoint in enumerate(endpoints, 1):
        schemas |= _schemas(endpoint, number)
        paths |= _paths(endpoint, number)
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill endpoints",
            "version": version,
            "description": "Predictions, by the Open Inference Protocol and as named rows.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "responses": _error_responses()},
    }
    if has_tokens:
        scheme = {"type": "http", "scheme": "bearer", "description": "tidemill tokens create"}
        document["components"]["securitySchemes"] = {"token": scheme}
        document["security"] = [{"token": []}]
    return document


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _error_responses() -> Schema:
    return {
        f"Error{status}": {
            "description": says,
            "content": {JSON: {"schema": _ref("BrokenRows" if status == "422" else "Error")}},
        }
        for status, says in _ERRORS.items()
    }


def _errors(statuses: Sequence[str]) -> Schema:
    return {status: {"$ref": f"#/components/responses/Error{status}"} for status in statuses}


def _get(operation: str, summary: str, schema: str | None) -> Schema:
    content = {JSON: {"schema": _ref(schema) if schema else {"type": "object"}}}
    return {"get": _operation(operation, summary, content, _ON_GET)}


def _get_text(operation: str, summary: str, media: str) -> Schema:
    content = {media: {"schema": {"type": "string"}}}
    return {"get": _operation(operation, summary, content, _ON_GET)}


def _operation(
    operation: str, summary: str, content: Schema, errors: Sequence[str], **more: Any
) -> Schema:
    ok = {"200": {"description": summary, "content": content}}
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {**ok, **_errors(errors)},
        **more,
    }


def _paths(endpoint: EndpointDescription, number: int) -> Schema:
    name, tag = endpoint.path_name, {"tags": [endpoint.name]}
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "description": "a version of the model",
        "schema": {
            "type": "string",
            **({"enum": [*endpoint.versions]} if endpoint.versions else {}),
        },
    }
    paths: Schema = {}
    for place, suffix, parameters in (
        ("", "", []),
        ("/versions/{version}", "Version", [version]),
    ):
        root = f"/v2/models/{name}{place}"
        more = {**tag, **({"parameters": parameters} if parameters else {})}
        about, is_ready = f"model{suffix}{number}", f"modelReady{suffix}{number}"
        paths[root] = _get(about, f"Describe the model of {endpoint.name}", "ModelMetadata")
        paths[f"{root}/ready"] = _get(is_ready, f"Whether {endpoint.name} can answer", "ModelReady")
        paths[root]["get"] |= more
        paths[f"{root}/ready"]["get"] |= more
        paths[f"{root}/infer"] = {
            "post": _infer(endpoint, number, f"infer{suffix}{number}", parameters) | tag
        }
    paths[f"/predict/{name}"] = {"post": _predict(endpoint, number) | tag}
    return paths


_ON_POST = tuple(_ERRORS)


def _infer(
    endpoint: EndpointDescription, number: int, operation: str, parameters: list[Schema]
) -> Schema:
    schema = _ref(f"InferRequest{number}")
    content: Schema = {JSON: {"schema": schema}, BINARY: {"schema": {"type": "string"}}}
    if endpoint.example is not None:
        content[JSON]["example"] = infer_example(endpoint)
    header = {
        "name": HEADER_LENGTH,
        "in": "header",
        "required": False,
        "description": "the length of the JSON, if binary data follows it",
        "schema": {"type": "integer", "minimum": 1},
    }
    answers = {
        JSON: {"schema": _ref(f"InferResponse{number}")},
        BINARY: {"schema": {"type": "string"}},
    }
    return _operation(
        operation,
        endpoint.description or f"Predict with {endpoint.name}",
        answers,
        _ON_POST,
        parameters=[*parameters, _PARTIAL, header],
        requestBody={"required": True, "content": content},
    )


_PARTIAL: Schema = {
    "name": "partial",
    "in": "query",
    "required": False,
    "description": "true answers the good rows of a request in which others break the contract",
    "schema": {"type": "boolean"},
}


def infer_example(endpoint: EndpointDescription) -> Schema:
    """Return the example row of an endpoint as an infer request."""
    row = endpoint.example or {}
    inputs = [
        {
            "name": column.name,
            "shape": [1],
            "datatype": datatype_of(column.dtype),
            "data": [row.get(column.name)],
        }
        for column in endpoint.columns
    ]
    return {"inputs": inputs}


def _predict(endpoint: EndpointDescription, number: int) -> Schema:
    row = _ref(f"Row{number}")
    rows = {"oneOf": [{"type": "array", "items": row, "minItems": 1}, row]}
    content: Schema = {
        JSON: {"schema": rows},
        CSV: {"schema": {"type": "string"}},
        ARROW: {"schema": {"type": "string"}},
    }
    if endpoint.example is not None:
        content[JSON]["example"] = [endpoint.example]
    answers = {
        JSON: {"schema": _ref(f"Predictions{number}")},
        CSV: {"schema": {"type": "string"}},
        ARROW: {"schema": {"type": "string"}},
    }
    return _operation(
        f"predict{number}",
        endpoint.description or f"Predict named rows with {endpoint.name}",
        answers,
        _ON_POST,
        parameters=[_PARTIAL],
        requestBody={"required": True, "content": content},
    )


def _schemas(endpoint: EndpointDescription, number: int) -> Schema:
    outputs = endpoint.form.outputs
    prediction = {"type": "object", "properties": {o.name: _output_schema(o) for o in outputs}}
    return {
        f"Row{number}": row_schema(endpoint.request_contract.columns),
        f"InferRequest{number}": _infer_schema(endpoint),
        f"InferResponse{number}": {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "model_name": {"const": endpoint.name},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": _ref("Parameters"),
                "outputs": {"type": "array", "items": _ref("OutputTensor")},
                "rejected": _ref("Rejected"),
            },
        },
        f"Predictions{number}": {
            "type": "object",
            "required": ["model", "version", "contract", "predictions"],
            "properties": {
                "model": {"const": endpoint.name},
                "version": {"type": "string"},
                "contract": {"type": "string"},
                "watermark": {"type": "string"},
                "predictions": {
                    "type": "array",
                    "items": {"oneOf": [prediction, {"type": "null"}]},
                },
                "rejected": _ref("Rejected"),
            },
        },
    }


def _output_schema(output: OutputTensor) -> Schema:
    return {"type": [_JSON_TYPES[output.datatype], "null"]}


def _infer_schema(endpoint: EndpointDescription) -> Schema:
    tensors = [
        {
            "type": "object",
            "title": column.name,
            "required": ["name", "shape", "datatype", "data"],
            "properties": {
                "name": {"const": column.name},
                "shape": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1},
                    "minItems": 1,
                    "maxItems": 2,
                },
                "datatype": {"enum": [*accepted_datatypes(column.dtype)]},
                "data": {"type": "array", "items": column_schema(column), "minItems": 1},
                "parameters": _ref("Parameters"),
            },
        }
        for column in endpoint.request_contract.columns
    ]
    required = sum(not column.optional for column in endpoint.columns)
    return {
        "type": "object",
        "required": ["inputs"],
        "description": "a tensor per column, all with the same number of rows",
        "properties": {
            "id": {"type": "string"},
            "parameters": _ref("Parameters"),
            "inputs": {
                "type": "array",
                "items": {"oneOf": tensors},
                "minItems": max(required, 1),
                "maxItems": len(tensors),
            },
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"enum": [output.name for output in endpoint.form.outputs]},
                        "parameters": _ref("Parameters"),
                    },
                },
            },
        },
    }


_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TENSORS: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/TensorMetadata"}}
_FINDINGS: Schema = {"type": "array", "items": {"$ref": "#/components/schemas/Finding"}}


def _object(required: Sequence[str] = (), **properties: Schema) -> Schema:
    return {"type": "object", "required": [*(required or properties)], "properties": properties}


_COMMON: Mapping[str, Schema] = {
    "Error": _object(error=_TEXT),
    "Finding": _object(
        row=_COUNT,
        field={"type": ["string", "null"]},
        rule=_TEXT,
        value={"description": "the value as it came"},
        message=_TEXT,
    ),
    "BrokenRows": _object(
        error=_TEXT, contract=_TEXT, rows=_COUNT, rejected=_COUNT, count=_COUNT, findings=_FINDINGS
    ),
    "Rejected": _object(rows=_COUNT, rejected=_COUNT, count=_COUNT, findings=_FINDINGS),
    "Parameters": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    "ServerMetadata": _object(
        name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT}
    ),
    "Live": _object(live={"type": "boolean"}),
    "Ready": _object(ready={"type": "boolean"}),
    "ModelReady": _object(name=_TEXT, ready={"type": "boolean"}),
    "TensorMetadata": _object(
        name=_TEXT, datatype=_TEXT, shape={"type": "array", "items": {"type": "integer"}}
    ),
    "ModelMetadata": _object(
        name=_TEXT,
        versions={"type": "array", "items": _TEXT},
        platform=_TEXT,
        inputs=_TENSORS,
        outputs=_TENSORS,
    ),
    "OutputTensor": _object(
        ("name", "shape", "datatype"),
        name=_TEXT,
        shape={"type": "array", "items": _COUNT},
        datatype=_TEXT,
        data={"type": "array"},
        parameters={"$ref": "#/components/schemas/Parameters"},
    ),
}
