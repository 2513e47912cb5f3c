"""The OpenAPI document of a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import OpenAPIV31SpecValidator

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.answers import AnswerForm, ModelAnswer, ServedVersion
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.errors import MethodNotAllowed, RequestError
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.json_schema import example_row
from tidemill.serving.oip import InferReplies, model_metadata
from tidemill.serving.openapi import infer_example, openapi_document
from tidemill.serving.predictions import PredictReplies
from tidemill.serving.routes import FIXED_ROUTES, RouteAction, find_route

SPEC = declare(
    {
        "größe": tm.Float64(min=0, nullable=True),
        "kind": tm.Enum(["a", "b"]),
        "x": tm.Int64(optional=True, default=1),
    }
)
FORM = AnswerForm(["a", "b", "c"])
ENDPOINT = EndpointDescription(
    name="a/ü",
    contract=SPEC,
    columns=SPEC.columns,
    form=FORM,
    versions=["v1"],
    example=example_row(SPEC, SPEC.names, np.random.default_rng(1)),
)
DOCUMENT = openapi_document([ENDPOINT], version="1")
INFER, PREDICT = "/v2/models/a%2F%C3%BC/infer", "/predict/a%2F%C3%BC"
SERVED = ServedVersion(model="a/ü", version="v1", contract=SPEC.title, watermark="2013")
SCHEMA = InputSchema(SPEC)


def validate_document(document: dict[str, Any]) -> None:
    faults = OpenAPIV31SpecValidator(document).iter_errors()
    assert [f"{list(fault.path)}: {fault.message}" for fault in faults] == []


def validate(value: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(value)] == []


def test_every_schema_is_valid_and_every_reference_is_there() -> None:
    for document in (DOCUMENT, openapi_document([], version="1", has_tokens=True)):
        validate_document(document)
    used = {part.split('"')[0] for part in json.dumps(DOCUMENT).split('"#/components/')[1:]}
    listed = {f"{kind}/{name}" for kind, all_ in DOCUMENT["components"].items() for name in all_}
    assert used == listed


def test_the_document_has_every_route_and_no_other() -> None:
    found: dict[RouteAction, set[str]] = {}
    for path, methods in DOCUMENT["paths"].items():
        route = find_route(path.replace("{version}", "v1"))
        assert route is not None
        assert (route.endpoint, route.version) in [("", ""), ("a/ü", ""), ("a/ü", "v1")]
        # What can be read is asked for by HEAD as well.
        assert {method.upper() for method in methods} == {*route.methods} - {"HEAD"}
        found.setdefault(route.action, set()).add(route.version)
    assert set(FIXED_ROUTES) <= set(DOCUMENT["paths"])
    with_versions = {RouteAction.MODEL, RouteAction.MODEL_READY, RouteAction.INFER}
    assert found == {
        action: {"", "v1"} if action in with_versions else {""} for action in RouteAction
    }


def subclasses(kind: type[RequestError]) -> Iterator[type[RequestError]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_the_document_has_every_status_of_an_error() -> None:
    documented = {
        int(status)
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    # A method that a route doesn't have is no operation of the document.
    raised = {each.status for each in subclasses(RequestError)} - {MethodNotAllowed.status}
    # A refusal has one of many, the connection has others, and a model may fail.
    assert raised | {200, 401, 403, 421, 429} | {408, 431} | {500} == documented


def test_health_needs_no_token() -> None:
    document = openapi_document([ENDPOINT], version="1", has_tokens=True)
    assert document["security"] == [{"token": []}]
    open_routes = {path for path, each in document["paths"].items() if "security" in str(each)}
    assert open_routes == {"/v2/health/live", "/v2/health/ready"}


def test_routes_of_endpoints_and_versions_are_listed() -> None:
    paths = DOCUMENT["paths"]
    assert {INFER, PREDICT, "/v2/models/a%2F%C3%BC/versions/{version}/infer"} <= set(paths)
    operations = [method["operationId"] for path in paths.values() for method in path.values()]
    assert len(set(operations)) == len(operations)
    version = paths["/v2/models/a%2F%C3%BC/versions/{version}"]["get"]["parameters"][0]
    assert version["schema"]["enum"] == ["v1"]
    assert {"400", "413", "415", "422", "503"} <= set(paths[INFER]["post"]["responses"])


@pytest.mark.parametrize("path", [INFER, PREDICT])
def test_the_examples_are_what_the_schemas_say_and_are_accepted(path: str) -> None:
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    validate(content["example"], content["schema"])
    decode = SCHEMA.decode_oip if path == INFER else SCHEMA.decode_rows
    assert decode(json.dumps(content["example"]).encode()).rows.count == 1


def test_replies_are_what_the_schemas_say() -> None:
    bad = {**(ENDPOINT.example or {}), "größe": -1}
    body = json.dumps([bad, ENDPOINT.example]).encode()
    request = SCHEMA.decode_rows(body, partial=True)
    answer = FORM.one([0.1, 0.2, 0.7])
    for path, replies in (
        (INFER, InferReplies(SERVED, FORM)),
        (PREDICT, PredictReplies(SERVED, FORM)),
    ):
        response = DOCUMENT["paths"][path]["post"]["responses"]["200"]
        schema = response["content"]["application/json"]["schema"]
        validate(json.loads(replies.reply(answer, request).body), schema)
        explained = ModelAnswer(count=1, columns=answer.columns, explanations=[
            {label: {"kind": 0.5, "baseline": 1.5} for label in "abc"}
        ])  # fmt: skip
        validate(json.loads(replies.reply(explained, request).body), schema)
    metadata = model_metadata("a/ü", versions=["v1"], platform="x", columns=SPEC.columns, form=FORM)
    validate(json.loads(metadata.body), {"$ref": "#/components/schemas/ModelMetadata"})


def test_errors_are_what_the_schemas_say() -> None:
    with pytest.raises(tm.TidemillError) as caught:
        SCHEMA.decode_rows(json.dumps([{**(ENDPOINT.example or {}), "kind": "z"}]).encode())
    validate(caught.value.document(), {"$ref": "#/components/schemas/BrokenRows"})  # type: ignore[attr-defined]


def test_without_an_example_there_is_none() -> None:
    plain = EndpointDescription(name="x", contract=SPEC, columns=SPEC.columns, form=FORM)
    document = openapi_document([plain], version="1")
    content = document["paths"]["/predict/x"]["post"]["requestBody"]["content"]
    assert "example" not in content["application/json"]
    assert infer_example(plain)["inputs"][0]["data"] == [None]
