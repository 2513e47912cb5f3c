"""Secrets that are shown once."""

from __future__ import annotations

from tidemill.console.shown_once import ShownOnce, mask_others
from tidemill.core.json_values import to_json_values


def test_only_what_is_shown_once_is_not_masked() -> None:
    found = to_json_values({"one": ShownOnce("secret"), "other": "secret"}, mask_others(len_of))
    assert found == {"one": "secret", "other": "******"}


def len_of(text: str) -> str:
    return "*" * len(text)
