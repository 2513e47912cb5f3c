"""Expected predictions: the bounds of the label."""

from __future__ import annotations

from decimal import Decimal
from math import inf

import pytest

import tidemill as tm
from tidemill.serving.output_bounds import OutputBounds, output_bounds
from tidemill.serving.rollout_counts import Output
from tidemill.workflow.stage import Input, Kind, Stage
from tidemill.workflow.workflow import contract_of


class Features(tm.Contract):
    hour = tm.Int64(min=0, max=23)


class Labels(tm.Contract):
    loaves = tm.Int64(min=0, max=500)
    share = tm.Float64(min_exclusive=0, max=1)
    price = tm.Decimal(9, 2, min=Decimal(1))
    shop = tm.String()


def bounds_of(label: str) -> OutputBounds:
    inputs = tuple(
        Input(name=each.__name__, contract=contract_of(each)) for each in (Features, Labels)
    )
    stage = Stage(
        name="mod", kind=Kind.MODEL, function=None, inputs=inputs, output=None, place="here"
    )
    return output_bounds(stage, label)


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [
        ("loaves", 0.0, 500.0),
        ("share", 0.0, 1.0),
        ("price", 1.0, inf),
        ("shop", -inf, inf),
        ("unknown", -inf, inf),
    ],
)
def test_the_bounds_are_those_of_the_label(label: str, low: float, high: float) -> None:
    assert bounds_of(label) == OutputBounds(low=low, high=high)


@pytest.mark.parametrize(
    ("output", "outside"),
    [(0.0, False), (10.0, False), (3, False), (-0.1, True), (11, True), (float("nan"), True),
     (None, True), ("late", False), (True, False)],
)  # fmt: skip
def test_what_is_outside(output: Output, outside: bool) -> None:
    assert OutputBounds(low=0.0, high=10.0).exclude(output) is outside


def test_without_bounds_only_what_is_no_finite_number() -> None:
    assert [OutputBounds().exclude(x) for x in (1e300, inf, float("nan"), None)] == [
        False, True, True, True,
    ]  # fmt: skip
