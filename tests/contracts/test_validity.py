from __future__ import annotations

from typing import Any

import pytest

from tests.support.contracts import declare
from tidemill.contracts import column_types as tm
from tidemill.core.errors import ContractError


@pytest.mark.parametrize(
    ("body", "arguments", "says"),
    [
        ({}, {}, "it has no columns"),
        ({"a": tm.Int64()}, {"version": "1.0"}, "version '1.0' is not MAJOR.MINOR.PATCH"),
        ({"a": tm.Int64()}, {"unknown_columns": "no"}, "unknown_columns='no' is not one of keep"),
        ({"abc": tm.Int64()}, {"key": ("abd",)}, r"'abd' is not one of its columns .*'abc'"),
        ({"a": tm.Int64(nullable=True)}, {"key": ("a",)}, "key column 'a' is nullable"),
        ({"a": tm.List(tm.Int8())}, {"key": ("a",)}, "is a List.Int8., which has no order"),
        ({"a": tm.Int64()}, {"key": ("a", "a")}, "names a column twice"),
        (
            {"a": tm.Date(partition="1d"), "b": tm.Date(partition="1d")},
            {},
            "more than one column has partition=: a, b",
        ),
        (
            {"a": tm.Int64(), "b": tm.Int64(source="a")},
            {},
            "a and b are both read from the column 'a'",
        ),
        ({"a": tm.Int64(thousands="x")}, {}, "a: thousands='x' is none of"),
        ({"a": tm.Int64()}, {"version": "01.0.0"}, "version '01.0.0' is not MAJOR.MINOR.PATCH"),
        ({"a": tm.Int64()}, {"version": "1.0.0-rc1"}, "version '1.0.0-rc1' is not"),
        ({"a": tm.Int64()}, {"version": 1}, "version 1 is not MAJOR.MINOR.PATCH"),
        (
            {"a": tm.Int64()},
            {"compatibility": "both"},
            "compatibility='both' is not one of none, b",
        ),
        ({"a": tm.Int64(nullable=True, optional=True)}, {"key": "a"}, "key column 'a' is nullable"),
        ({"a": tm.Int64(optional=True, default=1)}, {"key": "a"}, "key column 'a' is optional"),
        ({"a\0b": tm.Int64()}, {}, r"the column 'a\\x00b' has a NUL in its name"),
        ({"*": tm.Int64()}, {}, r"takes the column name '\*' for a pattern of names; rename"),
        ({"^a.*$": tm.Int64()}, {}, r"takes the column name '\^a.\*\$' for a pattern"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(
    body: dict[str, Any], arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ContractError, match=says) as caught:
        declare(body, **arguments)
    assert "contracts.py:" in str(caught.value)
    assert "contract X: " in str(caught.value)


def test_all_contradictions_are_told_at_once() -> None:
    with pytest.raises(ContractError, match=r"(?s)version.*a: min=3.*b: isin"):
        declare({"a": tm.Int64(min=3, max=2), "b": tm.Int64(isin=[])}, version="x")
