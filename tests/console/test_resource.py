"""Resources, and the arguments of their views."""

from __future__ import annotations

import inspect

import pytest

from tidemill.console.resource import (
    Parameter,
    Resource,
    call_view,
    checked_arguments,
    load_view,
)
from tidemill.console.resources import ACTIONS, RESOURCES, SHELL
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

EVERY = (SHELL, *RESOURCES, *ACTIONS)


def show_thing(
    project: object, name: str, limit: int = 3, share: float = 0.5, is_whole: bool = False
) -> str:
    """Show a thing."""
    return f"{name} {limit} {share} {is_whole}"


THING = Resource(name="thing", path="/things/{name}", view=f"{__name__}:show_thing")


def test_arguments_are_those_of_the_view() -> None:
    given = {"name": "x", "limit": "7", "share": "0.25", "is_whole": "on"}
    assert checked_arguments(THING, given) == {
        "name": "x",
        "limit": 7,
        "share": 0.25,
        "is_whole": True,
    }
    assert checked_arguments(THING, {"name": "x", "limit": 7, "is_whole": False}) == {
        "name": "x",
        "limit": 7,
        "is_whole": False,
    }


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "name is missing"),
        ({"name": ""}, "name is missing"),
        ({"name": "x", "limits": "7"}, "there is no parameter 'limits' (did you mean 'limit'?)"),
        ({"name": "x", "limit": "7.5"}, "limit = '7.5' is not a whole number"),
        ({"name": "x", "limit": True}, "limit = True is not a whole number"),
        ({"name": "x", "limit": [7]}, "limit = [7] is not a whole number"),
        ({"name": "x", "share": "nan"}, "share = 'nan' is not a number"),
        ({"name": "x", "share": "inf"}, "share = 'inf' is not a number"),
        ({"name": "x", "share": True}, "share = True is not a number"),
        ({"name": "x", "is_whole": "maybe"}, "is_whole = 'maybe' is not true or false"),
        ({"name": 7}, "name = 7 is not text"),
        # Half of a character, and more than the ledger can count.
        ({"name": "\ud800"}, "name = '\\ud800' is not text"),
        ({"name": "x", "limit": 1 << 63}, "limit = 9223372036854775808 is not a whole number"),
        # Of what is huge the beginning is quoted.
        ({"name": "x", "limit": "x" * 9_999}, f"limit = '{'x' * 96}... is not a whole number"),
        (
            {"x" * 9_999: ""},
            f"there is no parameter '{'x' * 97}...' (there is: is_whole, limit, name, share)",
        ),
    ],
)
def test_others_are_refused(given: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        checked_arguments(THING, given)
    assert str(caught.value) == why


def test_long_texts_are_refused() -> None:
    with pytest.raises(UsageError):
        checked_arguments(THING, {"name": "x" * 100_001})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for."""

    name: str
    limit: int = 3


def show_asked(project: str, asked: Asked, share: float = 0.5) -> str:
    """Show what was asked for."""
    return f"{project} {asked} {share}"


def test_the_fields_of_a_record_are_arguments() -> None:
    found = Resource(name="asked", path="/asked/{name}", view=f"{__name__}:show_asked")
    assert found.parameters == {
        "name": Parameter("name", "str", None, True),
        "limit": Parameter("limit", "int", 3),
        "share": Parameter("share", "float", 0.5),
    }
    given = checked_arguments(found, {"name": "x", "limit": "7"})
    assert call_view(found.view, "here", given) == f"here {Asked(name='x', limit=7)} 0.5"


@pytest.mark.parametrize("resource", EVERY, ids=lambda each: each.name)
def test_views_take_what_their_paths_hold_and_say_what_they_do(resource: Resource) -> None:
    view = load_view(resource.view)
    assert set(resource.placeholders) <= set(resource.parameters)
    assert {each.kind for each in resource.parameters.values()} <= {"str", "int", "float", "bool"}
    assert inspect.getdoc(view)


def test_names_and_paths_are_unique() -> None:
    assert len({each.name for each in EVERY}) == len(EVERY)
    assert len({each.path for each in (*RESOURCES, SHELL)}) == len(RESOURCES) + 1
    assert len({each.path for each in ACTIONS}) == len(ACTIONS)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda each: each.name)
def test_actions_lead_to_pages_and_are_bound_to_what_is_there(action: object) -> None:
    assert isinstance(action, Resource)
    guards = getattr(action, "guards", "")
    guarded = {each.name: each for each in RESOURCES}
    if guards:
        assert set(guarded[guards].placeholders) <= set(action.parameters)
