"""The environments of workflows that share a ledger have names of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.event import EnvironmentCreated, RunStarted
from tidemill.ledger.workflow_scope import (
    adoption_events,
    declares_any,
    other_prefixes,
    split_name,
    with_environment,
    workflow_prefix,
    workflow_scope,
)
from tidemill.workflow.environment import Environment


@pytest.mark.parametrize(
    ("workflow", "prefix"), [("shop", "shop/"), ("shop eu/1", "shop%20eu%2f1/"), ("", "/")]
)
def test_a_prefix(workflow: str, prefix: str) -> None:
    assert workflow_prefix(workflow) == prefix


@given(st.text(), st.text(), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True))
def test_names_of_different_workflows_differ(one: str, other: str, name: str) -> None:
    first, second = workflow_prefix(one) + name, workflow_prefix(other) + name
    assert (first == second) == (one == other)
    assert split_name(first) == (workflow_prefix(one), name)


OLD = {
    "prod": Environment(name="prod", since=1),
    "dev": Environment(name="dev", parent="prod", since=5, sample=0.5, expires=9.0),
}


def test_before_it_has_environments_a_workflow_shows_those_from_before() -> None:
    scope = workflow_scope(OLD, "shop/", "")
    assert scope.environments(OLD) == OLD
    assert (scope.own("dev", 10), scope.own("other/dev", 10)) == ("dev", None)
    assert adoption_events(OLD, scope) == [
        EnvironmentCreated(environment="shop/prod", parent="prod"),
        EnvironmentCreated(environment="shop/dev", parent="dev", sample=0.5, expires=9.0),
    ]
    assert workflow_scope(OLD, "shop/", None).environments(OLD) == {}


def test_afterwards_it_shows_what_it_continues_as_it_was() -> None:
    every = {
        **OLD,
        "shop/prod": Environment(name="shop/prod", parent="prod", since=20),
        "shop/dev": Environment(name="shop/dev", parent="dev", since=21, sample=0.5, expires=8.0),
        "shop/new": Environment(name="shop/new", parent="shop/prod", since=30),
        "mill/prod": Environment(name="mill/prod", since=31),
    }
    scope = workflow_scope(every, "shop/", "")
    assert scope.environments(every) == {
        "prod": Environment(name="prod", since=1),
        "dev": Environment(name="dev", parent="prod", since=5, sample=0.5, expires=8.0),
        "new": Environment(name="new", parent="prod", since=30),
    }
    # Events of another scope count until this one continues it.
    assert (scope.own("prod", 19), scope.own("prod", 20)) == ("prod", None)
    assert (scope.own("shop/new", 99), scope.own("mill/prod", 32)) == ("new", None)
    assert other_prefixes(every, "shop/") == ["mill/"]


def test_events_change_their_environment() -> None:
    started = RunStarted(run="r", environment="prod", command="c", holder={}, steps=1)
    moved = with_environment(started, "shop/prod", "")
    assert moved == RunStarted(run="r", environment="shop/prod", command="c", holder={}, steps=1)
    created = with_environment(EnvironmentCreated(environment="dev"), "shop/dev", "shop/prod")
    assert created == EnvironmentCreated(environment="shop/dev", parent="shop/prod")


def test_stages_in_common() -> None:
    assert declares_any(["a", "b"], ["b", "c"])
    assert not declares_any([], ["b"])
