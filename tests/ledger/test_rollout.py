"""Recorded steps of rollouts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.ledger.redacted import redacted_event
from tidemill.ledger.rollout import RolloutAction
from tidemill.testing.records import rollout_event, rollout_step


@pytest.mark.parametrize(
    ("action", "ends", "served"),
    [
        (RolloutAction.STARTED, False, "old"),
        (RolloutAction.PROMOTED, False, "old"),
        (RolloutAction.HELD, False, "old"),
        (RolloutAction.RESUMED, False, "old"),
        (RolloutAction.COMPLETED, True, "new"),
        (RolloutAction.ROLLED_BACK, True, "old"),
        (RolloutAction.REPLACED, True, "old"),
    ],
)
def test_what_is_served_after_a_step(action: RolloutAction, ends: bool, served: str) -> None:
    step = rollout_step(action)
    assert (step.is_end, step.served) == (ends, served)


def test_reasons_are_masked() -> None:
    event = rollout_event(rollout_step(RolloutAction.HELD))
    found = redacted_event(event, lambda text: text.replace("Monday", "***"))
    assert found == rollout_event(
        replace(rollout_step(RolloutAction.HELD), reason="hold until ***")
    )
