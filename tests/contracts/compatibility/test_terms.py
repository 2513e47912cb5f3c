from __future__ import annotations

import pytest

from tidemill.contracts.compatibility.terms import format_value


@pytest.mark.parametrize(
    ("value", "text"), [("", "none"), (True, "yes"), (0, "0"), ((), "none"), (("a",), "(a)")]
)
def test_said(value: object, text: str) -> None:
    assert format_value(value) == text
