"""Describe the routes of a server as an OpenAPI 3.1 document, from the contracts of its endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.oip import BINARY, HEADER_LENGTH, JSON
from tidemill.serving.openapi_schemas import COMMON_SCHEMAS, Schema, endpoint_schemas, ref
from tidemill.serving.predictions import ARROW, CSV
from tidemill.serving.tensors import datatype_of

_ERRORS: Mapping[str, str] = {
    "400": "The request isn't what the protocol says.",
    "401": "The token is missing or unknown.",
    "403": "The token isn't for this endpoint, or the origin isn't allowed.",
    "404": "There is no such route, endpoint or version.",
    "406": "The caller accepts none of the media types of the answer.",
    "408": "The request didn't arrive in time.",
    "413": "The request has too many bytes or rows.",
    "415": "The content type or the encoding isn't read.",
    "421": "The host isn't one of this server.",
    "422": "Rows break the contract: the findings name row, field, rule and value.",
    "429": "The caller's share is used up; see Retry-After.",
    "431": "The headers are too large.",
    "500": "The model failed for rows that its contract accepts, or the server has a fault.",
    "503": "The server is overloaded or stops, or no version can serve; see Retry-After.",
}
_ON_POST = tuple(_ERRORS)
_ON_GET = ("400", "401", "403", "404", "408", "421", "429", "431", "503")
# Health needs no token.
_ON_HEALTH = ("400", "403", "408", "421", "431", "503")
_TEXT: Schema = {"type": "string"}
_HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": {"description": "that of the request, or a new one", "schema": _TEXT},
    "Retry-After": {
        "description": "after how many seconds to try again",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "how to send a token", "schema": _TEXT},
    HEADER_LENGTH: {
        "description": "the length of the JSON before binary data",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Tidemill-Model": {"description": "with CSV and Arrow: the model", "schema": _TEXT},
    "Tidemill-Version": {"description": "with CSV and Arrow: its version", "schema": _TEXT},
    "Tidemill-Contract": {"description": "with CSV and Arrow: its contract", "schema": _TEXT},
    "Tidemill-Watermark": {
        "description": "with CSV and Arrow: the newest data of its training",
        "schema": _TEXT,
    },
    "Tidemill-Rejected": {
        "description": "with CSV and Arrow, and partial=true: how many rows aren't answered",
        "schema": {"type": "integer", "minimum": 0},
    },
}
_OF_ERRORS: Mapping[str, str] = {
    "401": "WWW-Authenticate",
    "429": "Retry-After",
    "503": "Retry-After",
}
_OF_PREDICTIONS = tuple(name for name in _HEADERS if name.startswith("Tidemill-"))


def openapi_document(
    endpoints: Sequence[EndpointDescription], *, version: str, has_tokens: bool = False
) -> Schema:
    """Return the document of a server with these endpoints; `version` is that of the document."""
    schemas = dict(COMMON_SCHEMAS)
    paths = _server_paths()
    for number, endpoint in enumerate(endpoints, 1):
        schemas |= endpoint_schemas(endpoint, number)
        paths |= _paths(endpoint, number)
    components: Schema = {
        "schemas": schemas,
        "responses": _error_responses(),
        "headers": dict(_HEADERS),
        "parameters": dict(_PARAMETERS),
    }
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidemill endpoints",
            "version": version,
            "description": (
                "Predictions, by the Open Inference Protocol and as named rows. What can be read by GET can "
                "be asked for by HEAD, and OPTIONS answers pages of allowed origins. Other methods are a 405."
            ),
        },
        "tags": [{"name": endpoint.name} for endpoint in endpoints],
        "paths": paths,
        "components": components,
    }
    if has_tokens:
        scheme = {"type": "http", "scheme": "bearer", "description": "tidemill tokens create"}
        components["securitySchemes"] = {"token": scheme}
        document["security"] = [{"token": []}]
    return document


class Operation(NamedTuple):
    """A route, the flags of its query, what it answers, and its endpoint ("" for those of the server)."""

    method: str
    route: str
    flags: tuple[str, ...]
    summary: str
    endpoint: str


def operations_of(document: Schema) -> list[Operation]:
    """Return the operations of a document, for people to read."""
    known = {f"#/components/parameters/{name}": item for name, item in _PARAMETERS.items()}
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters = [
                known.get(each.get("$ref"), each) for each in operation.get("parameters", ())
            ]
            flags = tuple(each["name"] for each in parameters if each["in"] == "query")
            (endpoint,) = operation.get("tags", ("",))
            found.append(Operation(method.upper(), path, flags, operation["summary"], endpoint))
    return found


def _server_paths() -> Schema:
    metadata, live, ready, status = map(
        _as_json, ("ServerMetadata", "Live", "Ready", "ServerStatus")
    )
    page = {"text/html": {"schema": _TEXT}}
    found: Schema = {
        "/v2": _get("serverMetadata", "Describe the server", metadata),
        "/v2/": _get("serverMetadataSlash", "Describe the server", metadata),
        "/v2/health/live": _health("serverLive", "Whether the server runs", live),
        "/v2/health/ready": _health("serverReady", "Whether all endpoints can answer", ready),
        "/status": _get("status", "What answers, rollouts, processes, and what is wrong", status),
        "/metrics": _get("metrics", "Metrics for Prometheus", {"text/plain": {"schema": _TEXT}}),
        "/openapi.json": _get("openapi", "This document", {JSON: {"schema": {"type": "object"}}}),
        "/docs": _get("docs", "The endpoints as a page", page),
        "/": _get("home", "The endpoints as a page", page),
    }
    # A server that isn't ready says so with the same document.
    not_ready = {
        "description": "Some endpoint can't answer, or the server stops.",
        "content": ready,
    }
    found["/v2/health/ready"]["get"]["responses"]["503"] = not_ready
    return found


def _as_json(schema: str) -> Schema:
    return {JSON: {"schema": ref(schema)}}


def _error_responses() -> Schema:
    return {f"Error{status}": _error_response(status, says) for status, says in _ERRORS.items()}


def _error_response(status: str, says: str) -> Schema:
    found: Schema = {
        "description": says,
        "content": _as_json("BrokenRows" if status == "422" else "Error"),
    }
    if status in _OF_ERRORS:
        found["headers"] = _header_refs(_OF_ERRORS[status])
    return found


def _header_refs(*names: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _errors(statuses: Sequence[str]) -> Schema:
    return {status: {"$ref": f"#/components/responses/Error{status}"} for status in statuses}


def _get(operation: str, summary: str, content: Schema) -> Schema:
    return {"get": _operation(operation, summary, content, _ON_GET)}


def _health(operation: str, summary: str, content: Schema) -> Schema:
    return {"get": _operation(operation, summary, content, _ON_HEALTH, security=[])}


def _operation(
    operation: str,
    summary: str,
    content: Schema,
    errors: Sequence[str],
    headers: Sequence[str] = (),
    **more: Any,
) -> Schema:
    ok = {
        "description": summary,
        "headers": _header_refs("X-Request-Id", *headers),
        "content": content,
    }
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": ok, **_errors(errors)},
        **more,
    }


def _paths(endpoint: EndpointDescription, number: int) -> Schema:
    name, tag = endpoint.path_name, {"tags": [endpoint.name]}
    known = {"enum": [*endpoint.versions]} if endpoint.versions else {}
    version = {
        "name": "version",
        "in": "path",
        "required": True,
        "description": "a version of the model",
        "schema": {**_TEXT, **known},
    }
    paths: Schema = {
        f"/predict/{name}": {"post": _predict(endpoint, number) | tag},
    }
    for place, suffix, parameters in (
        ("", "", []),
        ("/versions/{version}", "Version", [version]),
    ):
        root = f"/v2/models/{name}{place}"
        more = {**tag, **({"parameters": parameters} if parameters else {})}
        about, is_ready = f"model{suffix}{number}", f"modelReady{suffix}{number}"
        of = "a version" if parameters else "the model"
        who = "a version" if parameters else "the endpoint"
        paths[root] = _get(about, f"The inputs and outputs of {of}", _as_json("ModelMetadata"))
        ready = _get(is_ready, f"Whether {who} can answer", _as_json("ModelReady"))
        not_ready = {"description": f"{endpoint.name} can't answer.", "content": _READY_OR_ERROR}
        ready["get"]["responses"]["503"] = not_ready
        paths[f"{root}/ready"] = ready
        paths[root]["get"] |= more
        ready["get"] |= more
        paths[f"{root}/infer"] = {
            "post": _infer(endpoint, number, f"infer{suffix}{number}", parameters) | tag
        }
    return paths


_READY_OR_ERROR: Schema = {JSON: {"schema": {"anyOf": [ref("ModelReady"), ref("Error")]}}}


def _parameter(name: str, where: str, description: str, schema: Schema) -> Schema:
    return {
        "name": name,
        "in": where,
        "required": False,
        "description": description,
        "schema": schema,
    }


_PARAMETERS: Mapping[str, Schema] = {
    "partial": _parameter(
        "partial",
        "query",
        "true answers the good rows of a request in which others break the contract",
        {"type": "boolean"},
    ),
    "explain": _parameter(
        "explain",
        "query",
        "true says what each input contributes, in JSON, for models that can be explained",
        {"type": "boolean"},
    ),
    "length": _parameter(
        HEADER_LENGTH,
        "header",
        "the length of the JSON, if binary data follows it",
        {"type": "integer", "minimum": 1},
    ),
    "timeout": _parameter(
        "X-Request-Timeout-Ms",
        "header",
        "how long the caller waits; later answers are a 503",
        {"type": "number", "exclusiveMinimum": 0},
    ),
    "key": _parameter(
        "Tidemill-Key",
        "header",
        "requests with the same key are answered by the same version during a rollout",
        _TEXT,
    ),
    "request": _parameter("X-Request-Id", "header", "the id of the request, for logs", _TEXT),
}


def _parameter_refs(*names: str) -> list[Schema]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _about(endpoint: EndpointDescription) -> Schema:
    says = endpoint.description or endpoint.contract.description
    return {"description": says} if says else {}


def _body(content: Schema) -> Schema:
    says = "May be compressed, with Content-Encoding gzip or deflate."
    return {"required": True, "description": says, "content": content}


def _infer(
    endpoint: EndpointDescription, number: int, operation: str, parameters: list[Schema]
) -> Schema:
    content: Schema = {
        JSON: {"schema": ref(f"InferRequest{number}")},
        BINARY: {"schema": _TEXT},
    }
    if endpoint.example is not None:
        content[JSON]["example"] = infer_example(endpoint)
    return _operation(
        operation,
        "Predict tensors, in JSON or with binary data",
        {JSON: {"schema": ref(f"InferResponse{number}")}, BINARY: {"schema": _TEXT}},
        _ON_POST,
        (HEADER_LENGTH,),
        **_about(endpoint),
        parameters=[
            *parameters,
            *_parameter_refs("partial", "length", "timeout", "key", "request"),
        ],
        requestBody=_body(content),
    )


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
    row = ref(f"Row{number}")
    rows = {"oneOf": [{"type": "array", "items": row, "minItems": 1}, row]}
    content: Schema = {JSON: {"schema": rows}, CSV: {"schema": _TEXT}, ARROW: {"schema": _TEXT}}
    if endpoint.example is not None:
        content[JSON]["example"] = [endpoint.example]
    answers = {
        JSON: {"schema": ref(f"Predictions{number}")},
        CSV: {"schema": _TEXT},
        ARROW: {"schema": _TEXT},
    }
    return _operation(
        f"predict{number}",
        "Predict named rows: JSON, CSV or an Arrow IPC stream",
        answers,
        _ON_POST,
        _OF_PREDICTIONS,
        **_about(endpoint),
        parameters=_parameter_refs("partial", "explain", "timeout", "key", "request"),
        requestBody=_body(content),
    )
