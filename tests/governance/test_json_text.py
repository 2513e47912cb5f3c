"""JSON that is signed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import AttestationError
from tidemill.governance.json_text import canonical_json, parse_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(VALUES)
def test_what_is_written_is_read(value: object) -> None:
    assert parse_json(canonical_json(value), "it") == value


def test_keys_are_sorted_and_nothing_is_escaped() -> None:
    assert canonical_json({"b": "ü", "a": [1, None]}) == '{"a":[1,null],"b":"ü"}'.encode()


def test_what_json_does_not_know_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_key_that_comes_twice_is_refused_at_any_depth() -> None:
    with pytest.raises(AttestationError, match="the file has the key 'a' twice"):
        parse_json(b'{"x": [{"a": 1, "b": 2, "a": 1}]}', "the file")
