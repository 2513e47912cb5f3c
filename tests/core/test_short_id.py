"""A whole id means itself, and the beginning of an id all that begin with it."""

from __future__ import annotations

import pytest

from tidemill.core.short_id import ids_meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a1", ["a1"]),
        ("a", ["a1", "a12", "a3"]),
        ("b", ["b2"]),
        ("", []),
        ("c", []),
        ("a123", []),
    ],
)
def test_ids_meant(text: str, meant: list[str]) -> None:
    assert ids_meant(text, ["a3", "b2", "a12", "a1"]) == meant
