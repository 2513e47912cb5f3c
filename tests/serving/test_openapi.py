"""The OpenAPI document of a server."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import tidemill as tm
from tests.support.contracts import declare
from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.json_schema import example_row
from tidemill.serving.oip import InferReplies, model_metadata
from tidemill.serving.openapi import infer_example, openapi_document
from tidemill.serving.predictions import PredictReplies

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


def validate(value: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(value)] == []


def test_every_schema_is_valid_and_every_reference_is_there() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(DOCUMENT)
    for part in text.split('"#/components/')[1:]:
        kind, name = part.split('"')[0].split("/")
        assert name in DOCUMENT["components"][kind]


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
    metadata = model_metadata("a/ü", versions=["v1"], platform="x", columns=SPEC.columns, form=FORM)
    validate(json.loads(metadata.body), {"$ref": "#/components/schemas/ModelMetadata"})


def test_errors_are_what_the_schemas_say() -> None:
    with pytest.raises(tm.TidemillError) as caught:
        SCHEMA.decode_rows(json.dumps([{**(ENDPOINT.example or {}), "kind": "z"}]).encode())
    validate(caught.value.document(), {"$ref": "#/components/schemas/BrokenRows"})  # type: ignore[attr-defined]


def test_without_an_example_there_is_none() -> None:
    plain = EndpointDescription(name="x", contract=SPEC, columns=SPEC.columns, form=FORM)
    document = openapi_document([plain], version="1", has_tokens=True)
    assert document["security"] == [{"token": []}]
    content = document["paths"]["/predict/x"]["post"]["requestBody"]["content"]
    assert "example" not in content["application/json"]
    assert infer_example(plain)["inputs"][0]["data"] == [None]
