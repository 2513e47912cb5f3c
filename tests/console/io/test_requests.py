"""The fields of forms, of which some are together an object."""

from __future__ import annotations

import json

import pytest
from starlette.requests import Request

from tidemill.console.io.requests import arguments_of, gather_members, parse_document
from tidemill.core.errors import UsageError


def test_fields_with_members_are_objects() -> None:
    found = gather_members({"version": "", "row.a": "1", "row.b.c": "2", "other.": "3"})
    assert found["version"] == ""
    assert json.loads(found["row"]) == {"a": "1", "b.c": "2"}
    assert json.loads(found["other"]) == {"": "3"}


def request_of(query: str) -> Request:
    return Request(
        {
            "type": "http",
            "query_string": query.encode(),
            "path_params": {"stage": "sales"},
            "headers": [],
        }
    )


def test_arguments_are_in_one_place_each() -> None:
    found = arguments_of(request_of("limit=3&env=dev&view=table"), {"reason": "torn"})
    assert found == {"stage": "sales", "limit": "3", "reason": "torn"}
    for query, name in (("reason=other", "reason"), ("stage=other", "stage"), ("a=1&a=2", "a")):
        with pytest.raises(UsageError, match=f"more than one '{name}'"):
            arguments_of(request_of(query), {"reason": "torn"})
    with pytest.raises(UsageError, match="more than one 'stage'"):
        arguments_of(request_of(""), {"stage": "other"})


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2}', b'{"b": [{"a": 1, "a": 1}]}'])
def test_a_document_names_nothing_twice(body: bytes) -> None:
    with pytest.raises(UsageError, match=r"^there is more than one 'a'$"):
        parse_document(body)
    assert parse_document(b'{"a": {"a": 1}}') == {"a": {"a": 1}}
