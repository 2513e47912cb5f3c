"""Golden digests: what is recorded under them must be found again by every later version."""

from __future__ import annotations

from collections import UserList
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.fingerprint import fingerprint, is_object_name, object_name

GOLDEN: list[tuple[tuple[Any, ...], str]] = [
    ((), "5be108bba87e666a11fcfadacb3bf806"),
    (("a",), "5459ac157923f72364370ecb6fe397ff"),
    ((b"a",), "c33acae93c31203ec904104566b6d754"),
    ((1,), "1caa5975f4e2384f2ad8aed64e896317"),
    ((1.0,), "47424c67465f1ab039b45ae9ab0d9471"),
    ((-0.0,), "9aec284395fb5b3a4cfa468b7635c905"),
    ((float("nan"),), "db08dcda3f0a73582f4f67f599c85b62"),
    ((True,), "05d48d9fe5e36befe8fdb2fce3883dd0"),
    ((False,), "c4421da6ad8eeb622c704a7c6268dc42"),
    ((None,), "a01f4c61d94fbfcb054a3021e061d36a"),
    ((10**30, -5), "333b8eae20c7b37e37e8eb20eef9a408"),
    (("\ud800é",), "4e1520cc6df017e4f0b2a740439933ca"),
    (([1, "two", [3.5, None]],), "560fe7881694ac4041f09b0fc2e74963"),
    (({"b": 1, "a": [True, b""]},), "5a0b10fc01ccd6dc9ecfa67e250c1251"),
]


@pytest.mark.parametrize(("parts", "digest"), GOLDEN)
def test_golden_digests(parts: tuple[Any, ...], digest: str) -> None:
    assert fingerprint("golden", *parts) == digest


def test_golden_digests_are_all_different() -> None:
    assert len({digest for _, digest in GOLDEN}) == len(GOLDEN)


def test_object_name() -> None:
    name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert object_name(b"abc", ".parquet") == f"{name}.parquet"
    assert is_object_name(f"{name}.parquet")
    assert is_object_name(name)
    assert not is_object_name(f"../{name}")
    assert not is_object_name("features")


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
parts = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)


def told_apart(value: Any) -> Any:
    """A value with its types, so that 1, 1.0 and True differ, and the order of a dict doesn't."""
    if isinstance(value, dict):
        return ("dict", tuple(sorted((key, repr(told_apart(item))) for key, item in value.items())))
    if isinstance(value, list):
        return ("list", tuple(told_apart(item) for item in value))
    return (type(value).__name__, value.hex() if isinstance(value, float) else value)


@given(one=parts, other=parts)
def test_equal_digests_mean_equal_values(one: Any, other: Any) -> None:
    same = told_apart(one) == told_apart(other)
    assert (fingerprint("x", one) == fingerprint("x", other)) == same


@given(
    one=st.lists(st.text(max_size=2), max_size=3), other=st.lists(st.text(max_size=2), max_size=3)
)
def test_no_two_ways_to_cut_text_share_a_digest(one: list[str], other: list[str]) -> None:
    assert (fingerprint("x", *one) == fingerprint("x", *other)) == (one == other)


def test_the_tag_keeps_domains_apart() -> None:
    assert fingerprint("key", "a") != fingerprint("input", "a")
    assert fingerprint("key", "a") != fingerprint("key", ["a"])


def test_a_tuple_counts_as_a_list_and_order_of_keys_does_not() -> None:
    assert fingerprint("x", (1, 2)) == fingerprint("x", [1, 2])
    assert fingerprint("x", {"a": 1, "b": 2}) == fingerprint("x", {"b": 2, "a": 1})


def test_any_mapping_and_any_sequence_is_like_the_plain_one() -> None:
    assert fingerprint("t", MappingProxyType({"a": 1})) == fingerprint("t", {"a": 1})
    assert fingerprint("t", UserList(["a", 1])) == fingerprint("t", ["a", 1])
