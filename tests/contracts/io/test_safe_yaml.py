"""YAML of plain values only."""

from __future__ import annotations

from importlib import import_module

import pytest

from tidemill.contracts.io.safe_yaml import parse_yaml
from tidemill.core.errors import SourceError

yaml = import_module("yaml")


def test_values_and_lines() -> None:
    assert parse_yaml("a:\n  - b: 1\n", "x", yaml) == (
        {"a": [{"b": 1}]},
        {"": 1, "a": 2, "a[0]": 2, "a[0].b": 2},
    )
    assert parse_yaml("", "x", yaml) == (None, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "x:2:1: "),
        ("a: 1\na: 2", "x:2: duplicate field a"),
        ("!!python/name:os.system", "could not determine a constructor"),
        ("a: &a [*a]", "expand to more than 1,000,000 values"),
    ],
)
def test_faults(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message.replace("[", "\\[")):
        parse_yaml(text, "x", yaml)
