"""All kinds of gates."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.gate_kinds import GATES, PROCESS_GATES, SCORE_GATES, gates_of, metric_of
from tidemill.workflow.own_gate import OwnGate


def sane(candidate: Any) -> bool:
    return bool(candidate)


def test_a_function_among_gates_is_one() -> None:
    given: list[Any] = [sane, tm.beats_live("mae"), 3, tm.Contract]
    found: list[Any] = [*gates_of(given, "flow.py:3")]
    own, live, odd, kind = found
    assert own == OwnGate(name="sane", function=sane)
    assert live == tm.beats_live("mae")
    # They are refused with the other faults of the workflow.
    assert (odd, kind) == (3, tm.Contract)


def test_gates_are_of_one_kind_each() -> None:
    assert set(SCORE_GATES) | set(PROCESS_GATES) < set(GATES)
    assert not set(SCORE_GATES) & set(PROCESS_GATES)


@pytest.mark.parametrize(
    ("gate", "metric"),
    [
        (tm.beats_live("a.mae"), "a.mae"),
        (tm.no_slice_worse("mae", over="x", by=0.1), "mae"),
        (tm.calibrated(), "calibration_error"),
        (tm.size(9), ""),
        (tm.gate(sane), ""),
        (3, ""),
    ],
)
def test_gates_on_scores_name_their_metric(gate: Any, metric: str) -> None:
    assert metric_of(gate) == metric


@pytest.mark.parametrize("given", [None, 3, tm.beats_live("mae")])
def test_gates_are_a_list(given: Any) -> None:
    with pytest.raises(TypeError, match=r"is not a list of gates: write gates=\[tm.beats_live"):
        gates_of(given, "flow.py:3")


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (
            tm.beats_live,
            "flow.py:3: beats_live makes a gate when it is called: write tm.beats_live(...)",
        ),
        (lambda candidate: True, "flow.py:3: a lambda has no name: write name="),
        (lambda: True, "doesn't take one candidate"),
    ],
)
def test_a_function_that_cant_be_a_gate_is_named_where_it_is_declared(
    function: Any, says: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        gates_of([function], "flow.py:3")
    assert says in str(caught.value)
