"""JSON is parsed exactly: numbers as written, no duplicate keys, a limit for nesting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.errors import BadRequest
from tidemill.serving.strict_json import Number, kind_of, parse_json, plain, require_object, written

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(_json)
def test_a_document_is_written_as_it_was_parsed(value: Any) -> None:
    parsed = parse_json(json.dumps(value).encode(), depth=32)
    assert json.loads(written(parsed)) == value


def test_numbers_stay_as_they_are_written() -> None:
    assert parse_json(b"[1.50, 1e400, -0, 123456789012345678901234567890]", depth=2) == [
        "1.50",
        "1e400",
        "-0",
        "123456789012345678901234567890",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Number("1.50"), 1.5),
        (Number("12"), 12),
        (Number("1e400"), "1e400"),
        (Number("1" * 50), "1" * 37 + "..."),
        ("x" * 300, "x" * 197 + "..."),
        ("\ud800", "\\ud800"),
        ([Number("1"), "a"], '[1,"a"]'),
        (True, True),
        (None, None),
    ],
)
def test_values_are_shown_short(value: Any, shown: Any) -> None:
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true or false"),
        (Number("1"), "a number"),
        ("1", "text"),
        ([], "a list"),
        ({}, "an object"),
    ],
)
def test_values_are_named_by_their_kind(value: Any, kind: str) -> None:
    assert kind_of(value) == kind
    if kind != "an object":
        with pytest.raises(BadRequest, match=f"it is {kind}, not an object"):
            require_object(value, "it")


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(BadRequest, match="the key 'b' appears twice"):
        parse_json(b'{"a": 1, "b": 2, "b": 3}', depth=2)


def test_levels_are_counted() -> None:
    assert parse_json(b"[[1]]", depth=2) == [["1"]]
    with pytest.raises(BadRequest, match="more than 2 levels"):
        parse_json(b'[[{"a": 1}]]', depth=2)
