"""`tm.rollout`: what it accepts, and how it names what it doesn't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.endpoint import Rollout


def test_a_rollout_has_sensible_defaults() -> None:
    assert tm.rollout() == Rollout()


def test_durations_are_seconds_and_shares_end_with_all_requests() -> None:
    plan = tm.rollout(shadow="2h", canary=[0.1, 0.5], step="10m", alpha=0.01)
    assert (plan.shadow_s, plan.canary, plan.step_s) == (7_200.0, (0.1, 0.5, 1.0), 600.0)
    assert plan.alpha == 0.01


def test_shadow_and_canary_can_be_left_out_alone() -> None:
    assert tm.rollout(shadow=None).shadow_s == 0.0
    assert tm.rollout(canary=[]).canary == (1.0,)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"shadow": "soon"}, "shadow='soon' is not a duration"),
        ({"shadow": "0s"}, "shadow='0s' is not a duration"),
        ({"step": 0}, "step=0 is not a duration"),
        ({"canary": 0.05}, "canary=0.05 is not a list of shares such as [0.05, 0.25, 1.0]"),
        ({"canary": "0.05"}, "canary='0.05' is not a list"),
        ({"canary": [5, 25]}, "canary: 5 is not a share between 0 and 1"),
        ({"canary": [0, 1]}, "canary: 0 is not a share"),
        ({"canary": [True]}, "canary: True is not a share"),
        ({"canary": [float("nan")]}, "canary: nan is not a share"),
        ({"canary": [0.25, 0.05]}, "each share must be larger than the one before"),
        ({"canary": [0.05, 0.05]}, "each share must be larger than the one before"),
        ({"shadow": None, "canary": [1.0]}, "there is nothing to roll out; leave rollout= out"),
        ({"alpha": 0}, "alpha=0 is not between 0 and 1"),
        ({"detect": 2.0}, "detect=2.0 is not between 0 and 1"),
        ({"slower": 0.5}, "slower=0.5 is not a factor of at least 1, such as 2.0"),
        ({"shift": "2"}, "shift='2' is not a factor"),
    ],
    ids=str,
)
def test_a_fault_names_the_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        tm.rollout(**options)
    assert says in str(caught.value)
    assert "test_endpoint.py" in str(caught.value)


def test_all_faults_are_shown_at_once() -> None:
    with pytest.raises(DeclarationError) as caught:
        tm.rollout(shadow="soon", alpha=7)
    assert len(caught.value.faults) == 2


@given(st.lists(st.floats(allow_nan=True), max_size=4))
def test_accepted_shares_increase_to_one(shares: list[float]) -> None:
    try:
        found = tm.rollout(canary=shares).canary
    except DeclarationError:
        return
    assert list(found) == sorted(set(found))
    assert found[-1] == 1.0
    assert found[0] > 0
