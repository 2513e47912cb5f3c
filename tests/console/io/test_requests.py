"""What forms carry."""

from __future__ import annotations

import json

import pytest

from tidemill.console.io.requests import parse_form
from tidemill.core.errors import UsageError


def test_fields_of_a_group_are_one_argument() -> None:
    found = parse_form(b"reason=x&cells.a.b=1&cells.=2&nulls.c=on")
    assert found["reason"] == "x"
    assert json.loads(found["cells"]) == {"a.b": "1", "": "2"}
    assert json.loads(found["nulls"]) == {"c": "on"}


@pytest.mark.parametrize("body", ["a=1&a=2", "a.b=1&a.b=2", "a.b=1&a=2", "a=1&a.b=2"])
def test_a_field_that_is_there_twice(body: str) -> None:
    with pytest.raises(UsageError, match="more than one 'a"):
        parse_form(body.encode())
