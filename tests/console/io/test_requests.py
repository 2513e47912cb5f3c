"""The fields of forms, of which some are together an object."""

from __future__ import annotations

import json

from tidemill.console.io.requests import gather_members


def test_fields_with_members_are_objects() -> None:
    found = gather_members({"version": "", "row.a": "1", "row.b.c": "2", "other.": "3"})
    assert found["version"] == ""
    assert json.loads(found["row"]) == {"a": "1", "b.c": "2"}
    assert json.loads(found["other"]) == {"": "3"}
