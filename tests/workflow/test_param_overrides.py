"""Parameters for one run, as texts and as values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.workflow.test_profile_params import SEALED
from tidemill.core.errors import UsageError
from tidemill.workflow.param_overrides import (
    checked_overrides,
    describe_overrides,
    override_profile,
    parse_overrides,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("rounds=20", 20),
        ("rate=0.05", 0.05),
        ("rate=1", 1),
        ("fast=true", True),
        ("fast=False", False),
        ("kind=l2", "l2"),
        ("kind=7=8", "7=8"),
        ("days=[14, 7]", [14, 7]),
        ('more={"depth": 4}', {"depth": 4}),
        ("seen=None", None),
        ("seen=words", "words"),
    ],
)
def test_a_value_is_read_as_the_declared_type(text: str, value: Any) -> None:
    name = text.partition("=")[0]
    found = parse_overrides(SEALED, [f"first.{text}"])
    assert found == {"first": {name: value}}
    assert type(found["first"][name]) is type(value)


def test_several_are_collected_by_model() -> None:
    found = parse_overrides(SEALED, ["first.rounds=2", "second.rounds=3", "first.rate=1.5"])
    assert found == {"first": {"rounds": 2, "rate": 1.5}, "second": {"rounds": 3}}
    assert describe_overrides(found) == [
        "first: rounds=2, rate=1.5 for this run",
        "second: rounds=3 for this run",
    ]
    assert override_profile(found).params == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("first", "--param 'first' is not MODEL.NAME=VALUE"),
        ("first.rounds", "is not MODEL.NAME=VALUE"),
        ("=3", "is not MODEL.NAME=VALUE"),
        ("first.=3", "is not MODEL.NAME=VALUE"),
        (".rounds=3", "is not MODEL.NAME=VALUE"),
        ("first.round=3", "first declares no such parameter (did you mean 'rounds'?)"),
        ("frist.rounds=3", "there is no such model (did you mean 'first'?)"),
        ("rows.rounds=3", "ingest 'rows' has no parameters"),
        ("first.rounds=1.5", "first.rounds = 1.5 is not a whole number"),
        ("first.rounds=many", "first.rounds = 'many' is not a whole number"),
        ("first.weights=1", "which settings can't express"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        checked_overrides(SEALED, parse_overrides(SEALED, [text]))
