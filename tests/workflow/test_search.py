"""What can be searched, and which declarations of it are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import DeclarationError
from tidemill.workflow.search import (
    NoTrial,
    Search,
    Space,
    choices,
    declaration_faults,
    integers,
    loguniform,
    search,
    uniform,
)
from tidemill.workflow.window import last

BAD_RANGE: Any = ("a", 1)
BAD_NUMBERS: Any = (1, 2.5)
BAD_VALUES: Any = [[1]]
ANY: dict[str, Space] = {"rounds": integers(10, 50)}


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 50), st.booleans())
def test_the_default_is_in_its_range(low: int, more: int, step: int, log: bool) -> None:
    whole = integers(low, low + more, step=1 if log else step, log=log)
    assert whole.contains(whole.default)
    for space in (uniform(low, low + more), loguniform(low, low + more)):
        assert space.contains(space.default)


@pytest.mark.parametrize(
    ("space", "inside", "outside"),
    [
        (uniform(0, 1), [0, 0.5, 1.0], [-0.1, 2, "1", True, None]),
        (loguniform(0.1, 10), [0.1, 1], [0.0, "a"]),
        (integers(0, 10, step=5), [0, 5, 10], [1, 11, -5, 5.0, True, "5"]),
        (choices(["a", 1, None]), ["a", 1, None], ["b", 1.0, True, False]),
    ],
)
def test_what_is_in_a_space(space: Space, inside: list[Any], outside: list[Any]) -> None:
    assert [space.contains(value) for value in inside] == [True] * len(inside)
    assert [space.contains(value) for value in outside] == [False] * len(outside)


def test_spaces_are_shown_as_they_are_declared() -> None:
    shown = [str(s) for s in (uniform(0, 1), loguniform(1, 2), integers(1, 9), choices(["a"]))]
    assert shown == [
        "tm.uniform(0, 1)", "tm.loguniform(1, 2)", "tm.integers(1, 9)", "tm.choices(['a'])",
    ]  # fmt: skip
    assert str(integers(1, 9, step=2)) == "tm.integers(1, 9, step=2)"
    assert str(integers(1, 9, log=True)) == "tm.integers(1, 9, log=True)"
    assert choices(["a", "b"]).default == "a"


def test_the_name_of_a_metric() -> None:
    def rmse() -> float:
        return 0.0

    class Callable:
        def __call__(self) -> float:
            return 0.0

    named = [search(ANY, metric=m).metric_name for m in ("mae", "scores.mae", rmse, Callable())]
    assert named == ["mae", "mae", "rmse", "metric"]


def test_options_are_kept() -> None:
    found = search(
        ANY, metric="mae", budget="20m", cost=1.5, validate=last("7d"), pruner="quartile"
    )
    assert isinstance(found, Search)
    assert (found.budget_s, found.cost, found.validate) == (1200.0, 1.5, last("7d"))
    assert found.place.startswith("test_search.py:")


@pytest.mark.parametrize(
    ("space", "options", "message"),
    [
        ({}, {}, "{} is not a dict of parameters"),
        ([1], {}, "[1] is not a dict of parameters"),
        ({"a": 3}, {}, "a=3 is none of tm.uniform"),
        ({"a": uniform(1, 1)}, {}, "needs two numbers, the lower one first"),
        ({"a": uniform(*BAD_RANGE)}, {}, "needs two numbers"),
        ({"a": loguniform(0, 1)}, {}, "because its scale is logarithmic"),
        ({"a": integers(*BAD_NUMBERS)}, {}, "needs whole numbers"),
        ({"a": integers(1, 9, step=0)}, {}, "needs whole numbers, and a positive step"),
        ({"a": integers(1, 9, step=2, log=True)}, {}, "both a step and a logarithmic scale"),
        ({"a": choices([])}, {}, "has to list text"),
        ({"a": choices(BAD_VALUES)}, {}, "has to list text"),
        ({"a": choices([float("nan")])}, {}, "has to list text"),
        ({"a": choices([0, False])}, {}, "tm.choices([0, False]) has two values that are equal"),
        ({"a": uniform(0, float("inf"))}, {}, "needs two numbers, the lower one first"),
        (ANY, {"metric": 3}, "metric=3 is neither the name of a metric nor a function"),
        (ANY, {"metric": ""}, "metric='' is neither"),
        (ANY, {"trials": 0}, "trials=0 is not a whole number of at least 1"),
        (ANY, {"trials": True}, "trials=True is not"),
        (ANY, {"parallel": 1.5}, "parallel=1.5 is not"),
        (ANY, {"seed": -1}, "seed=-1 is not a whole number of at least 0"),
        (ANY, {"validate": 0}, "validate=0 is neither a share"),
        (ANY, {"pruner": "best"}, "pruner='best' is not one of median, quartile"),
        (ANY, {"cost": -1}, "cost=-1 is not a positive amount of money"),
        (ANY, {"budget": "soon"}, "budget='soon' is not a duration"),
    ],
)
def test_invalid_declarations_are_refused(
    space: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=re.escape(message)):
        search(space, **{"metric": "mae", **options})


def test_reports_outside_of_a_search_are_ignored() -> None:
    trial = NoTrial()
    trial.report(0.5, 1)
    assert trial.number == -1


def test_faults_of_a_declaration_name_the_parameter_and_the_space() -> None:
    found = search({"rounds": integers(1, 9)}, metric="mae", pruner="median")
    assert found.defaults == {"rounds": 5}
    messages = [f.message for f in declaration_faults(found, "m", "a.py:1", (), {"rounds": 99})]
    assert messages == [
        "model 'm' takes no params to search",
        "model 'm': pruner='median' needs the values that a trial reports",
        "model 'm': its parameter rounds=99 is none of tm.integers(1, 9)",
    ]
    fine = declaration_faults(found, "m", "a.py:1", ("params", "trial"), {"rounds": 2, "other": 1})
    assert list(fine) == []
    [fault] = declaration_faults("mae", "m", "a.py:1", (), {})
    assert "was not made by tm.search()" in fault.message
