"""Which parameters of a search a training function doesn't have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tidemill.workflow.search import integers, search
from tidemill.workflow.search_parameters import parameter_faults, read_parameters


def reads_two(params: Any) -> Any:
    return params["rounds"], params.get("leaves", 31), [params["rounds"] for _ in "ab"]


def passes_on(params: Any) -> Any:
    return dict(params), params["rounds"]


def reads_any(params: Any, name: str) -> Any:
    return params[name], params.items()


def reads_none(rows: Any) -> Any:
    return rows.get("rounds"), rows["leaves"]


GENERATED: dict[str, Any] = {}
exec("def made(params): return params['rounds']", GENERATED)


def faults(function: Callable[..., Any], params: dict[str, Any], *names: str) -> list[str]:
    found = search({name: integers(1, 9) for name in names}, metric="mae")
    return [f.message for f in parameter_faults(found, "m", function, params)]


@pytest.mark.parametrize(
    ("function", "read"),
    [
        (reads_two, {"rounds", "leaves"}),
        (reads_none, frozenset()),
        (passes_on, None),
        (reads_any, None),
        (GENERATED["made"], None),
        (len, None),
    ],
)
def test_names_that_a_function_reads(function: Callable[..., Any], read: Any) -> None:
    assert read_parameters(function) == read


def test_what_is_no_search_has_no_parameters() -> None:
    assert list(parameter_faults("mae", "m", reads_two, {})) == []


@pytest.mark.parametrize(
    ("function", "params", "names", "message"),
    [
        (reads_two, {"rounds": 5}, ["rounds", "leaves"], ""),
        (
            reads_two, {"rounds": 5}, ["rouds"],
            "its search tries 'rouds', which is neither in params= nor read by its function "
            "(did you mean 'rounds'?)",
        ),
        (
            reads_two, {}, ["depth"],
            "neither in params= nor read by its function (there is: leaves, rounds)",
        ),
        # A declared parameter may be read in any way.
        (reads_two, {"depth": 5}, ["depth"], ""),
        (passes_on, {"learning_rate": 1}, ["rate", "num_leaves"], ""),
        (
            passes_on, {"learning_rate": 1}, ["learningrate"],
            "tries 'learningrate', which isn't in params= (did you mean 'learning_rate'?)",
        ),
        # Two names that are alike are both meant.
        (passes_on, {"lambda_l1": 1}, ["lambda_l1", "lambda_l2"], ""),
    ],
)  # fmt: skip
def test_parameters_that_are_misspelt(
    function: Callable[..., Any], params: dict[str, Any], names: list[str], message: str
) -> None:
    found = faults(function, params, *names)
    assert len(found) == bool(message)
    assert all(message in each for each in found)
