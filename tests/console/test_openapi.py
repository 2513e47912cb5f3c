"""The description of the API, and that answers are what it says."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_spec_validator import validate

from tests.support.console import Visitor
from tidemill.console.openapi import openapi_document
from tidemill.console.resource import API, Resource
from tidemill.console.resources import ACTIONS, RESOURCES, SHELL

# What placeholders and arguments stand for in the bakery.
THINGS = {
    "run": "last",
    "stage": "sales",
    "model": "demand",
    "version": "newest",
    "column": "sold",
    "partition": "2026-01-12",
    "environment": "prod",
}
# What the bakery doesn't have.
NOT_THERE = ("quarantined-partition", "quarantined-rows", "model-comparison")
MISSING = {"review", "endpoint", "incident", "row", "decision", "rule", "schedule", "token", "pin"}


def test_it_is_valid() -> None:
    validate(openapi_document())


def test_it_has_every_resource_and_action() -> None:
    paths = openapi_document()["paths"]
    assert all("get" in paths[each.api_path] for each in (SHELL, *RESOURCES))
    assert all("post" in paths[each.api_path] for each in ACTIONS)
    assert sum(map(len, paths.values())) == 1 + len(RESOURCES) + len(ACTIONS)


def test_everything_is_described() -> None:
    operations = [each for path in openapi_document()["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(each["summary"].endswith(".") for each in operations)


@pytest.mark.parametrize(
    "resource",
    [
        each
        for each in (SHELL, *RESOURCES)
        if not MISSING & set(each.placeholders) and each.name not in NOT_THERE
    ],
    ids=lambda each: each.name,
)
def test_answers_are_as_described(onlooker: Visitor, resource: Resource) -> None:
    description = openapi_document()
    needed = [each.name for each in resource.parameters.values() if each.is_required]
    path = resource.api_path.removeprefix(API).format(**THINGS)
    query = "&".join(
        f"{name}={THINGS[name]}" for name in needed if name not in resource.placeholders
    )
    found = onlooker.api(f"{path}?{query}")
    answers: Any = description["paths"][resource.api_path]["get"]["responses"]
    schema = answers["200"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": description["components"]}
    faults = [
        f"{'/'.join(map(str, each.absolute_path))}: {each.message[:200]}"
        for each in Draft202012Validator(whole).iter_errors(found)
    ]
    assert faults == []
