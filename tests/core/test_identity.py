"""Keys by identity differ where values are equal, and need no values that can be hashed."""

from __future__ import annotations

from tidemill.core.identity import ByIdentity


def test_the_same_objects_are_equal() -> None:
    first, second = ["a"], {"b": 1}
    assert ByIdentity(first, second) == ByIdentity(first, second)
    assert hash(ByIdentity(first, second)) == hash(ByIdentity(first, second))
    assert ByIdentity(first, second).values == (first, second)


def test_equal_objects_are_not() -> None:
    first = ["a"]
    assert ByIdentity(first) != ByIdentity(["a"])
    assert ByIdentity(first) != ByIdentity(first, first)
    assert ByIdentity(first) != first
