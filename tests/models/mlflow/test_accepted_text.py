"""Names and values are those that a server accepts, and no two names become one."""

from __future__ import annotations

import json
import math
import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.models.mlflow.accepted_text import (
    MOST_NAME,
    accepted_name,
    accepted_number,
    accepted_value,
    alias_of,
)
from tidemill.workflow.environment import check_environment_name

# As the validation of MLflow has them.
NAME = re.compile(r"[/\w.\- ]+")
ALIAS = re.compile(r"(?![vV]\d+$)(?!latest$)[\w\-]{1,255}")
environments = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", fullmatch=True)


@given(st.text(), st.text())
def test_every_text_gets_a_name_of_its_own(one: str, other: str) -> None:
    for text in (one, other):
        name = accepted_name(text)
        assert NAME.fullmatch(name)
        assert len(name) <= MOST_NAME
        assert posixpath.normpath(name) == name
        assert name not in (".", "..")
    assert (accepted_name(one) == accepted_name(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mae", "mae"),
        ("recall at 0.5", "recall at 0.5"),
        ("größe", "größe"),
        ("a/b", "a_b-"),
        ("f1(macro)", "f1_macro_-"),
        ("..", "..-"),
        ("", "-"),
        ("x" * 300, "x" * 241 + "-"),
    ],
)
def test_names_that_fit_stay(text: str, name: str) -> None:
    found = accepted_name(text)
    assert found == name or (name.endswith("-") and found[:-8] == name)


def test_long_values_end_with_how_long_they_are() -> None:
    assert accepted_value("x" * 6_000, 6_000) == "x" * 6_000
    long, other = (accepted_value("x" * 6_001 + end, 6_000) for end in ("y", "z"))
    assert len(long) == 6_000
    assert "... (6,002 characters, " in long
    assert long != other


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"),
        (math.nan, '"NaN"'),
        (math.inf, "1.7976931348623157e+308"),
        (-math.inf, "-1.7976931348623157e+308"),
    ],
)
def test_figures_are_json(value: float, text: str) -> None:
    assert json.dumps(accepted_number(value), allow_nan=False) == text


@given(environments, environments)
def test_every_environment_has_an_alias(one: str, other: str) -> None:
    for name in (one, other):
        assert ALIAS.fullmatch(alias_of(check_environment_name(name)))
    assert (alias_of(one) == alias_of(other)) == (one == other)


@pytest.mark.parametrize("name", ["v1", "V2", "latest", "LATEST", "7", "dev.ana"])
def test_names_that_mean_something_else_there(name: str) -> None:
    assert alias_of(name).startswith("env-")
    assert alias_of("dev-ana") == "dev-ana"
