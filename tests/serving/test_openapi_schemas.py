"""The schemas of the OpenAPI document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import tidemill as tm
from tests.support.contracts import declare
from tidemill.ledger.rollout import EndpointStatus
from tidemill.serving.answers import AnswerForm
from tidemill.serving.endpoint_description import EndpointDescription
from tidemill.serving.openapi_schemas import COMMON_SCHEMAS, endpoint_schemas, ref

SPEC = declare({"wind": tm.Float64()})


def schemas(form: AnswerForm) -> dict[str, Any]:
    return endpoint_schemas(
        EndpointDescription(name="x", contract=SPEC, columns=SPEC.columns, form=form), 1
    )


def accepts(schema: dict[str, Any], value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


@pytest.mark.parametrize("schema", [*COMMON_SCHEMAS.values(), *schemas(AnswerForm()).values()])
def test_schemas_are_valid(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_contributions_are_by_input_or_by_class_and_input() -> None:
    by_input = {"wind": 0.5, "baseline": 1.0}
    one, many = (
        schemas(form)["Predictions1"]["properties"]["predictions"]["items"]
        for form in (AnswerForm(), AnswerForm(["a", "b", "c"]))
    )
    answer = {"prediction": 1.5, "contributions": by_input}
    assert accepts(one, answer)
    assert not accepts(one, {**answer, "contributions": {"wind": 0.5}})
    answer = {"prediction": "a", **{f"probability_{each}": 0.3 for each in "abc"}}
    assert accepts(many, {**answer, "contributions": dict.fromkeys("abc", by_input)})
    assert not accepts(many, {**answer, "contributions": by_input})
    assert not accepts(many, {"prediction": "a"})


def test_the_status_of_an_endpoint_has_these_properties() -> None:
    known = {"ready", "shadow_drops", "versions", "log"}
    properties = COMMON_SCHEMAS["EndpointStatus"]["properties"]
    assert {*asdict(EndpointStatus(name="x", model="y"))} | known == {*properties}


def test_a_reference_names_its_schema() -> None:
    assert ref("Error") == {"$ref": "#/components/schemas/Error"}
